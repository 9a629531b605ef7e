-- A test of a text.
{text} <> ALL ({value}::text[])

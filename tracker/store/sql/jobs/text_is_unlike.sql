-- A test of a text.
{text} NOT LIKE {value}::text

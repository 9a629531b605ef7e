-- A test of a text.
{text} = {value}::text

-- A test of a text.
{text} LIKE {value}::text

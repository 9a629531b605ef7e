-- A test of a text.
{text} IS NULL

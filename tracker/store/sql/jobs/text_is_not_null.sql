-- A test of a text.
{text} IS NOT NULL

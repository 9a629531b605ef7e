-- A test of a text.
{text} = ANY ({value}::text[])

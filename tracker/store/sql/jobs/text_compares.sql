-- A test of a text: the order is A, b, C, on any server. The locale "C" has no other letters in two cases than ASCII's.
(lower({text} COLLATE "C"), {text} COLLATE "C") {operator} (lower({value}::text COLLATE "C"), {value}::text COLLATE "C")

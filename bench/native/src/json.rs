//! A scanner of JSON. It accepts a part of what Python accepts, and never more: a text that it does not
//! accept goes to Python, which decides, and says what is wrong.
//!
//! It is written by hand, because the crates for JSON do more: `serde_json` and `jiter` build values, and
//! `simd-json` and `sonic-rs` index or copy the whole text, with unsafe code. Here a message has twenty
//! members whose types matter, and most of its bytes are in one string that is only skipped.

#![forbid(unsafe_code)]

const WORD: usize = size_of::<u64>();
const CHUNK: usize = 4 * WORD;
const ONES: u64 = u64::from_ne_bytes([0x01; WORD]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; WORD]);

pub struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Scanner {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The position of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Scan the end of the text.
    pub fn end(&mut self) -> Option<()> {
        self.blank();
        (self.at == self.bytes.len()).then_some(())
    }

    /// Scan an object. `member` scans the value of each member; it gets the name, which has no escapes.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        if self.next()? != b'{' {
            return None;
        }
        self.blank();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let (name, has_escapes) = self.name()?;
            if has_escapes {
                return None;
            }
            member(self, name)?;
            self.blank();
            match self.next()? {
                b',' => self.blank(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Whether the next value begins as `null`; if so, skip it.
    pub fn null(&mut self) -> bool {
        let is_null = self.bytes[self.at..].starts_with(b"null");
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// Scan a string or null; return the string, which has no escapes.
    pub fn text_or_null(&mut self) -> Option<Option<&'a str>> {
        if self.null() {
            return Some(None);
        }
        let (text, has_escapes) = self.string()?;
        (!has_escapes).then_some(Some(text))
    }

    /// Scan any string.
    pub fn skip_text(&mut self) -> Option<()> {
        self.string().map(drop)
    }

    /// Whether the next value is a string, if it is one at all.
    pub fn is_string(&self) -> bool {
        self.peek() == Some(b'"')
    }

    /// Scan any object.
    pub fn skip_object(&mut self) -> Option<()> {
        if self.peek()? == b'{' { self.skip() } else { None }
    }

    /// Scan any string, or null.
    pub fn skip_text_or_null(&mut self) -> Option<()> {
        if self.null() { Some(()) } else { self.skip_text() }
    }

    /// Scan null, or a whole number of up to 18 digits, which is written as such.
    pub fn integer_or_null(&mut self) -> Option<Option<i64>> {
        if self.null() {
            return Some(None);
        }
        let start = self.at;
        self.number()?;
        let written = &self.text[start..self.at];
        if written.len() > 18 || written == "-0" {
            return None;
        }
        written.parse().ok().map(Some) // fails for a fraction or an exponent
    }

    /// Skip any value that has at most 64 levels.
    pub fn skip(&mut self) -> Option<()> {
        let mut depth = 0;
        let mut objects: u64 = 0; // a bit for each level, the innermost is the lowest: an object, not a list
        loop {
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    let is_object = opening == b'{';
                    self.at += 1;
                    self.blank();
                    if self.peek()? == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        if depth == u64::BITS {
                            return None;
                        }
                        depth += 1;
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string().map(drop)?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.blank();
                match (self.next()?, objects & 1) {
                    (b',', is_object) => {
                        self.blank();
                        if is_object == 1 {
                            self.name()?;
                        }
                        break;
                    }
                    (b'}', 1) | (b']', 0) => {
                        depth -= 1;
                        objects >>= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    /// Scan the name of a member, and the colon; the next byte is the first of its value.
    fn name(&mut self) -> Option<(&'a str, bool)> {
        let name = self.string()?;
        self.blank();
        if self.next()? != b':' {
            return None;
        }
        self.blank();
        Some(name)
    }

    /// Scan a string; return it as it is written, and whether it has escapes.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        if self.next()? != b'"' {
            return None;
        }
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at = end_of_plain(self.bytes, self.at);
            match self.next()? {
                b'"' => return Some((&self.text[start..self.at - 1], has_escapes)),
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return None, // a control character
            }
        }
    }

    /// Scan what stands after a backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.code_unit()? {
                0xD800..0xDC00 => {
                    self.word(b"\\u")?;
                    (0xDC00..0xE000).contains(&self.code_unit()?).then_some(())
                }
                0xDC00..0xE000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn code_unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(unit)
    }

    /// Scan a number.
    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let is_digit = self.next()?.is_ascii_digit();
        self.skip_digits();
        is_digit.then_some(())
    }

    fn skip_digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }
}

/// Return the position of the first quote, backslash or control character from `at` on, or the length.
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    let mut words = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += WORD;
        words += 1;
        if words == 4 {
            at = skip_plain_chunks(bytes, at);
        }
    }
    while bytes.get(at).is_some_and(|&byte| !is_special(byte)) {
        at += 1;
    }
    at
}

/// Skip as many whole chunks without a special byte as there are. The compiler uses vectors for a chunk.
fn skip_plain_chunks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes[at..].first_chunk::<CHUNK>() {
        if chunk.iter().fold(false, |found, &byte| found | is_special(byte)) {
            break;
        }
        at += CHUNK;
    }
    at
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Return the high bits of the special bytes. The lowest one is exact; those above it may be wrong.
fn special_bytes(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let zeros = |word: u64| below(word, 1);
    let quotes = zeros(word ^ (ONES * u64::from(b'"')));
    let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
    (quotes | backslashes | below(word, b' ')) & HIGH_BITS
}

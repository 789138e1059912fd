//! A window that slides over a stream: bytes in from any reader, records out as slices of one fixed buffer.

use std::io::{self, Read};

/// Reads a stream in large pieces; never more than what is asked for makes it wait.
pub(crate) struct Buffer {
    input: Box<dyn Read + Send>,
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Holds the longest record that is accepted, and makes a read worth its system call.
    pub const SIZE: usize = 512 * 1024;

    pub fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, bytes: vec![0; Self::SIZE].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Makes the next `len` bytes available. `false` when the stream ends before; [`Buffer::rest`] is then what is left.
    #[inline]
    pub fn has(&mut self, len: usize) -> io::Result<bool> {
        if self.end - self.start >= len { Ok(true) } else { self.fill(len) }
    }

    /// The next `N` bytes; `None` when the stream ends before.
    #[inline]
    pub fn peek<const N: usize>(&mut self) -> io::Result<Option<&[u8; N]>> {
        self.has(N)?;
        Ok(self.rest().first_chunk())
    }

    /// What is available now.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Steps over bytes that are available.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
    }

    /// Steps over any number of bytes; `false` when the stream ends before.
    #[inline]
    pub fn skip(&mut self, mut len: usize) -> io::Result<bool> {
        loop {
            let step = len.min(self.end - self.start);
            self.consume(step);
            len -= step;
            if len == 0 {
                return Ok(true);
            }
            if !self.has(1)? {
                return Ok(false);
            }
        }
    }

    #[cold]
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        debug_assert!(len <= Self::SIZE);
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < len {
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_trickles_is_read_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2 * Buffer::SIZE + 7).collect();
        let mut buffer = Buffer::new(Box::new(Trickle(bytes.clone().into())));
        let mut seen = Vec::new();
        while buffer.has(1).expect("no error") {
            let len = buffer.rest().len().min(1000);
            seen.extend_from_slice(&buffer.rest()[..len]);
            buffer.consume(len);
        }
        assert_eq!(seen, bytes);
    }

    #[test]
    fn skipping_goes_beyond_what_fits_and_tells_where_the_stream_ends() {
        let mut buffer = Buffer::new(Box::new(io::repeat(1).take(3 * Buffer::SIZE as u64 + 1)));
        assert!(buffer.skip(3 * Buffer::SIZE).expect("no error"));
        assert_eq!(buffer.peek::<2>().expect("no error"), None);
        assert_eq!(buffer.rest(), [1]);
        assert!(!buffer.skip(2).expect("no error"));
    }

    /// Gives 13 bytes at a time.
    struct Trickle(std::collections::VecDeque<u8>);

    impl Read for Trickle {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = into.len().min(13);
            self.0.read(&mut into[..len])
        }
    }
}

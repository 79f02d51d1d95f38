//! The path of a queue file (`src/global/mail_queue.c`, `src/util/dir_forest.c`).

use core::fmt;

use crate::attr::Value;

/// The name of a queue file, checked: it stays in its queue.
///
/// ```
/// use postfix_ipc::{attr::Value, queue_file::{Hashing, QueueFile}};
///
/// let file = QueueFile::new(&Value::new("deferred")?, &Value::new("8A4EB6F")?)?;
/// assert_eq!(file.path(&Hashing::new("deferred, defer", 2)), "deferred/8/A/8A4EB6F");
/// assert!(QueueFile::new(&Value::new("active")?, &Value::new("../pid/x")?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFile {
    queue: String,
    id: String,
}

/// A name of a queue or of a file that is none. For both, Postfix 3.7 panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// The queue has other characters than letters and digits, none, or more than 100.
    Queue(Value),
    /// The id has other characters than letters, digits and `_`, none, or more than 255.
    Id(Value),
}

/// The queues that are folders of folders, and their depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// The queues (`hash_queue_names`).
    queues: Vec<String>,
    /// The levels of folders (`hash_queue_depth`).
    depth: usize,
}

impl Hashing {
    /// The queues of a list with commas or white space between, and the number of levels.
    pub fn new(hash_queue_names: &str, hash_queue_depth: usize) -> Self {
        let separator = |c: char| c == ',' || c.is_ascii_whitespace();
        let names = hash_queue_names.split(separator);
        Self {
            queues: names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            depth: hash_queue_depth,
        }
    }
}

impl QueueFile {
    const QUEUE_LIMIT: usize = 100;
    const ID_LIMIT: usize = 255;

    /// Checks the names of a queue and of a file in it.
    ///
    /// # Errors
    /// One of them cannot be part of a path.
    pub fn new(queue: &Value, id: &Value) -> Result<Self, BadName> {
        let checked = |value: &Value, limit, allowed: fn(u8) -> bool| {
            let name = value.to_str()?;
            let good = (1..=limit).contains(&name.len()) && name.bytes().all(allowed);
            good.then(|| name.to_owned())
        };
        let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        Ok(Self {
            queue: checked(queue, Self::QUEUE_LIMIT, alphanumeric)
                .ok_or_else(|| BadName::Queue(queue.clone()))?,
            id: checked(id, Self::ID_LIMIT, word).ok_or_else(|| BadName::Id(id.clone()))?,
        })
    }

    /// The queue id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path, relative to the queue directory.
    pub fn path(&self, hashing: &Hashing) -> String {
        let Self { queue, id } = self;
        let hashed = |name: &String| name.eq_ignore_ascii_case(queue);
        if !hashing.queues.iter().any(hashed) {
            return format!("{queue}/{id}");
        }
        let key = long_key(id).unwrap_or_else(|| id.clone());
        let letters = key.chars().chain(core::iter::repeat('_'));
        let folders: String = letters.take(hashing.depth).flat_map(|c| [c, '/']).collect();
        format!("{queue}/{folders}{id}")
    }
}

/// `active/8A4EB6F`, as log lines and errors have it.
impl fmt::Display for QueueFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue, self.id)
    }
}

/// The microseconds of a long queue id in hexadecimal, by which the folders are named;
/// `None` for a short one.
///
/// A long id is the seconds (six characters or more), the microseconds (four), `z`, and the
/// inode.
fn long_key(id: &str) -> Option<String> {
    const SECONDS: usize = 6;
    const MICROS: usize = 4;
    let (time, _) = id.rsplit_once('z')?;
    let start = time
        .len()
        .checked_sub(MICROS)
        .filter(|&start| start >= SECONDS)?;
    let micros = time.get(start..)?;
    // What is no number in this base counts as zero.
    let micros = micros
        .bytes()
        .try_fold(0, |sum, byte| Some(sum * 52 + digit(byte)?));
    Some(format!("{:05X}", micros.unwrap_or(0)))
}

/// The value of a digit of base 52: digits and letters without vowels.
fn digit(byte: u8) -> Option<u32> {
    const DIGITS: &[u8] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    let place = DIGITS.iter().position(|&digit| digit == byte)?;
    u32::try_from(place).ok()
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "bad queue name: {name:.100}"),
            Self::Id(name) => write!(f, "bad queue id: {name:.255}"),
        }
    }
}

impl core::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(queue: &str, id: &str) -> Result<QueueFile, BadName> {
        QueueFile::new(&Value::masked(queue), &Value::masked(id))
    }

    #[test]
    fn paths_are_those_of_postfix() {
        for (queue, id, depth, path) in [
            ("active", "8A4EB6F", 1, "active/8A4EB6F"),
            ("deferred", "8A4EB6F", 1, "deferred/8/8A4EB6F"),
            ("Deferred", "8A4EB6F", 3, "Deferred/8/A/4/8A4EB6F"),
            ("defer", "8A", 4, "defer/8/A/_/_/8A"),
            ("deferred", "4Xn2Kf3zqRz1", 2, "deferred/8/9/4Xn2Kf3zqRz1"),
            (
                "deferred",
                "4Xn2Kf0001z1",
                5,
                "deferred/0/0/0/0/1/4Xn2Kf0001z1",
            ),
            // Too short for a long id.
            ("deferred", "4Xn2K0001z1", 1, "deferred/4/4Xn2K0001z1"),
        ] {
            let hashing = Hashing::new("deferred, defer", depth);
            let file = file(queue, id).unwrap();
            assert_eq!(file.path(&hashing), path);
            assert_eq!(file.to_string(), format!("{queue}/{id}"));
        }
    }

    #[test]
    fn no_name_leaves_its_folder() {
        let long = "a".repeat(256);
        for id in ["", ".", "a/b", "a b", "a-b", "é", &long] {
            let error = file("active", id).unwrap_err().to_string();
            assert!(error.starts_with("bad queue id: "), "{error}");
        }
        for queue in ["", "..", "a/b", "a_b", &long[..101]] {
            let error = file(queue, "A").unwrap_err().to_string();
            assert!(error.starts_with("bad queue name: "), "{error}");
        }
        assert!(file(&long[..100], &long[..255]).is_ok());
        assert!(file("active", "example_com").is_ok());
    }
}

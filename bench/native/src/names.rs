//! The grammar of `jobTaskId` and of the run marker: `tracker/identifiers.py` and `run_marker.py` again.

#![forbid(unsafe_code)]

const DEFAULT_PARTITION_ID: &str = "default";
const MAX_PARTITION_ID_CHARS: usize = 40;
const MAX_JOB_ID_CHARS: usize = 48;
const MAX_JOB_TASK_ID_CHARS: usize = 1_000;
const MAX_LEVELS: usize = 100;
const MAX_INDEX: u32 = 2_147_483_647;
const MAX_INDEX_DIGITS: usize = 10;
const FORBIDDEN: [char; 10] = ['.', ',', ':', ';', '*', '?', '!', '|', '(', ')'];

const NO_MARKER: i64 = 0;
const NO_JOB: i64 = -1;
const QUERY: &str = "/status?run=";
const MAX_MARKER_CHARS: usize = 13;

/// A child: the text of its index as it is written, its index, and whether it is marked as the last.
#[derive(Clone, Copy)]
pub struct Child<'a> {
    pub text: &'a str,
    pub index: u32,
    pub is_last: bool,
}

/// The name of a task that has children.
pub struct Parent<'a> {
    pub partition_id: &'a str,
    pub job_id: &'a str,
    pub steps: Vec<Child<'a>>,
}

/// Split a `jobTaskId` into the text of the parent, which is not looked at yet, and the child.
pub fn split(job_task_id: &str) -> Option<(&str, Child<'_>)> {
    if job_task_id.len() > MAX_JOB_TASK_ID_CHARS {
        return None; // it may have fewer characters than bytes, and be right
    }
    let (parent, index) = job_task_id.rsplit_once('.')?;
    Some((parent, child(index)?))
}

pub fn parent(text: &str) -> Option<Parent<'_>> {
    let mut parts = text.split('.');
    let name = parts.next()?;
    let (partition_id, job_id) = name.split_once(':').unwrap_or((DEFAULT_PARTITION_ID, name));
    if !is_id(partition_id, MAX_PARTITION_ID_CHARS) || !is_id(job_id, MAX_JOB_ID_CHARS) {
        return None;
    }
    let steps = parts.map(child).collect::<Option<Vec<_>>>()?;
    (steps.len() < MAX_LEVELS).then_some(Parent {
        partition_id,
        job_id,
        steps,
    })
}

/// Return the run that a `statusCheckUrl` names; None: its key is too large for the database.
pub fn run(status_check_url: Option<&str>) -> Option<i64> {
    // A marker has no slash, so only the last place can be the right one.
    let Some((_, marker)) = status_check_url.and_then(|url| url.rsplit_once(QUERY)) else {
        return Some(NO_MARKER);
    };
    let is_marker = (1..=MAX_MARKER_CHARS).contains(&marker.len())
        && marker
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if !is_marker {
        Some(NO_MARKER)
    } else if marker.starts_with('0') {
        Some(NO_JOB)
    } else {
        i64::from_str_radix(marker, 36).ok()
    }
}

/// Whether two topics are the same except for case; None if that takes Unicode's rules.
pub fn same_topic(one: Option<&str>, other: Option<&str>) -> Option<bool> {
    match (one, other) {
        (Some(one), Some(other)) if one == other => Some(true),
        (Some(one), Some(other)) if one.is_ascii() && other.is_ascii() => {
            Some(one.eq_ignore_ascii_case(other))
        }
        (Some(_), Some(_)) => None,
        _ => Some(one == other),
    }
}

fn child(text: &str) -> Option<Child<'_>> {
    let digits = text.strip_suffix('*').unwrap_or(text);
    if digits.len() > MAX_INDEX_DIGITS
        || digits.starts_with('0')
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let index = digits.parse().ok().filter(|&index| index <= MAX_INDEX)?;
    Some(Child {
        text,
        index,
        is_last: digits.len() < text.len(),
    })
}

fn is_id(text: &str, max_chars: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max_chars && !text.contains(FORBIDDEN)
}

//! The fields of a task message that matter, and their types: `tracker/messages/task_message.py` again.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::json::Scanner;
use crate::names::{Child, run, same_topic, split};

const NEWEST_VERSION: i64 = 3;
const DONE_STATUSES: [&str; 3] = ["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"];

/// A message that is good beyond doubt.
pub struct Message<'a> {
    pub to: Option<&'a str>,
    pub tracking: Option<Range<usize>>, // the bytes of `tracking` if it is not null
    pub tracking_ends: bool,
    pub report: Option<Report<'a>>, // None: the message is not tracked
}

/// The task that a message is about, which has completed if tracking ends, and otherwise continues.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    pub parent: &'a str, // not looked at yet
    pub run: i64,
    pub child: Child<'a>,
}

/// Return the message; None: Python decides on it.
pub fn read(value: &[u8]) -> Option<Message<'_>> {
    let fields = Fields::read(std::str::from_utf8(value).ok()?)?;
    let Some((range, tracking)) = fields.tracking else {
        return Some(Message {
            to: fields.to,
            tracking: None,
            tracking_ends: false,
            report: None,
        });
    };
    let tracking_ends = same_topic(fields.to, tracking.track_to)?;
    let report = match tracking.job_task_id {
        None => None,
        Some(job_task_id) => {
            if !DONE_STATUSES.contains(&fields.task_status?) {
                return None;
            }
            let (parent, child) = split(job_task_id)?;
            Some(Report {
                parent,
                run: run(tracking.status_check_url)?,
                child,
            })
        }
    };
    Some(Message {
        to: fields.to,
        tracking: Some(range),
        tracking_ends,
        report,
    })
}

#[derive(Default)]
struct Fields<'a> {
    to: Option<&'a str>,
    task_status: Option<&'a str>,
    tracking: Option<(Range<usize>, Tracking<'a>)>,
}

#[derive(Default)]
struct Tracking<'a> {
    job_task_id: Option<&'a str>,
    status_check_url: Option<&'a str>,
    track_to: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut json = Scanner::new(text);
        let mut fields = Fields::default();
        let mut seen = Seen::default();
        json.blank();
        json.object(|json, name| match name {
            "taskId" => {
                seen.first(0)?;
                json.skip_text()
            }
            "version" => {
                seen.first(1)?;
                json.integer_or_null()?
                    .is_none_or(|version| version <= NEWEST_VERSION)
                    .then_some(())
            }
            "taskApiVersion" => {
                seen.first(2)?;
                json.integer_or_null().map(drop)
            }
            "priority" => {
                seen.first(3)?;
                json.integer_or_null().map(drop)
            }
            "taskClassifier" => {
                seen.first(4)?;
                json.skip_text_or_null()
            }
            "taskData" => {
                seen.first(5)?;
                json.skip_text_or_null()
            }
            "correlationId" => {
                seen.first(6)?;
                json.skip_text_or_null()
            }
            "taskStatus" => {
                seen.first(7)?;
                fields.task_status = json.text_or_null()?;
                Some(())
            }
            "to" => {
                seen.first(8)?;
                fields.to = json.text_or_null()?;
                Some(())
            }
            "context" => {
                seen.first(9)?;
                if json.null() { Some(()) } else { json.skip_object() }
            }
            "sourceInfo" => {
                seen.first(10)?;
                if json.null() { Some(()) } else { source_info(json) }
            }
            "tracking" => {
                seen.first(11)?;
                let start = json.at();
                if !json.null() {
                    let tracking = Tracking::read(json)?;
                    fields.tracking = Some((start..json.at(), tracking));
                }
                Some(())
            }
            _ => json.skip(),
        })?;
        json.end()?;
        seen.has(0).then_some(fields) // taskId
    }
}

impl<'a> Tracking<'a> {
    fn read(json: &mut Scanner<'a>) -> Option<Self> {
        let mut tracking = Tracking::default();
        let mut seen = Seen::default();
        json.object(|json, name| match name {
            "jobTaskId" => {
                seen.first(0)?;
                tracking.job_task_id = json.text_or_null()?;
                Some(())
            }
            "lastStatusCheckTime" => {
                seen.first(1)?;
                if json.is_string() {
                    json.skip_text_or_null()
                } else {
                    json.integer_or_null().map(drop)
                }
            }
            "statusCheckIntervalMillis" => {
                seen.first(2)?;
                json.integer_or_null().map(drop)
            }
            "statusCheckUrl" => {
                seen.first(3)?;
                tracking.status_check_url = json.text_or_null()?;
                Some(())
            }
            "trackingPipe" => {
                seen.first(4)?;
                json.skip_text_or_null()
            }
            "trackTo" => {
                seen.first(5)?;
                tracking.track_to = json.text_or_null()?;
                Some(())
            }
            _ => json.skip(),
        })?;
        Some(tracking)
    }
}

fn source_info(json: &mut Scanner<'_>) -> Option<()> {
    let mut seen = Seen::default();
    json.object(|json, name| match name {
        "name" => {
            seen.first(0)?;
            json.skip_text_or_null()
        }
        "version" => {
            seen.first(1)?;
            json.skip_text_or_null()
        }
        _ => json.skip(),
    })
}

/// The fields of an object that have been seen. Of several with one name, Python decides which counts.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn first(&mut self, field: u32) -> Option<()> {
        let is_first = !self.has(field);
        self.0 |= 1 << field;
        is_first.then_some(())
    }

    fn has(&self, field: u32) -> bool {
        self.0 & 1 << field != 0
    }
}

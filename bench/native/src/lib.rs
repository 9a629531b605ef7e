//! Decodes a whole batch in one call, and leaves to Python each record that is not good beyond doubt.
//!
//! Such records are events, failures, reports on a job itself, escapes in the fields that matter, a field
//! that occurs twice, numbers in unusual notations, and all that is bad. So there is no text of an error
//! here, and no rule of an event.

mod json;
mod message;
mod names;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use message::{Message, Report};
use names::{Child, Parent};

/// The destination and the value of each record, the positions left to Python, how many records are not
/// tracked, and the groups of the others.
type Decoded<'py> = (
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Vec<usize>,
    usize,
    Bound<'py, PyList>,
);

#[pymodule]
mod compiled_step {
    #[pymodule_export]
    use super::decode;
}

/// Decode records. `allows(topic, record)` says whether a topic may be sent to, and is no event's.
#[pyfunction]
fn decode<'py>(
    records: &Bound<'py, PyList>,
    max_message_bytes: usize,
    unreadable_headers: &Bound<'py, PyAny>,
    allows: &Bound<'py, PyAny>,
) -> PyResult<Decoded<'py>> {
    let py = records.py();
    let none = py.None().into_bound(py);
    let readable = records
        .iter()
        .map(|record| readable_value(&record, max_message_bytes, unreadable_headers))
        .collect::<PyResult<Vec<_>>>()?;
    let mut batch = Batch {
        allows,
        allowed: HashMap::new(),
        group_of: HashMap::new(),
        groups: vec![],
        untracked: 0,
    };
    let mut destinations = Vec::with_capacity(readable.len());
    let mut values = Vec::with_capacity(readable.len());
    let mut left = vec![];
    for (position, (value, record)) in readable.iter().zip(records.iter()).enumerate() {
        let added = match value {
            Some(value) => batch.add(position, value, &record)?,
            None => None,
        };
        let (destination, value) = added.unwrap_or_else(|| {
            left.push(position);
            (none.clone(), none.clone())
        });
        destinations.push(destination);
        values.push(value);
    }
    let groups = batch
        .groups
        .iter()
        .map(|group| group.to_python(py))
        .collect::<PyResult<Vec<_>>>()?;
    Ok((
        PyList::new(py, destinations)?,
        PyList::new(py, values)?,
        left,
        batch.untracked,
        PyList::new(py, groups)?,
    ))
}

/// Return the value of a record if there is one that may be decoded.
fn readable_value<'py>(
    record: &Bound<'py, PyAny>,
    max_message_bytes: usize,
    unreadable_headers: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = record.py();
    let Ok(value) = record.call_method0(intern!(py, "value"))?.cast_into::<PyBytes>() else {
        return Ok(None);
    };
    if value.as_bytes().len() > max_message_bytes {
        return Ok(None);
    }
    let headers = record.call_method0(intern!(py, "headers"))?;
    Ok((!headers.is(unreadable_headers)).then_some(value))
}

struct Batch<'a, 'py> {
    allows: &'a Bound<'py, PyAny>,
    allowed: HashMap<&'a str, Bound<'py, PyString>>,
    group_of: HashMap<(&'a str, i64), usize>, // by the text of the parent, and the run
    groups: Vec<Group<'a>>,
    untracked: usize,
}

impl<'a, 'py> Batch<'a, 'py> {
    /// Add a record; return its destination and the value to send. None: it is left to Python.
    fn add(
        &mut self,
        position: usize,
        value: &'a Bound<'py, PyBytes>,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let py = record.py();
        let bytes = value.as_bytes();
        let Some(message) = message::read(bytes) else {
            return Ok(None);
        };
        let destination = match message.to {
            None => py.None().into_bound(py),
            Some(to) => match self.destination(to, record)? {
                Some(found) => found.into_any(),
                None => return Ok(None),
            },
        };
        if !self.count(position, &message) {
            return Ok(None);
        }
        let sent = match message.tracking {
            Some(range) if message.tracking_ends && message.to.is_some() => {
                without_tracking(py, &bytes[..range.start], &bytes[range.end..])?.into_any()
            }
            _ => value.clone().into_any(),
        };
        Ok(Some((destination, sent)))
    }

    /// Return a topic as Python's text, if it may be sent to.
    fn destination(
        &mut self,
        to: &'a str,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        if let Some(found) = self.allowed.get(to) {
            return Ok(Some(found.clone()));
        }
        let topic = PyString::new(record.py(), to);
        if !self.allows.call1((&topic, record))?.is_truthy()? {
            return Ok(None);
        }
        self.allowed.insert(to, topic.clone());
        Ok(Some(topic))
    }

    /// Count what a message reports; return false if it is bad.
    fn count(&mut self, position: usize, message: &Message<'a>) -> bool {
        let Some(Report { parent, run, child }) = message.report else {
            self.untracked += 1;
            return true;
        };
        let number = match self.group_of.entry((parent, run)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let Some(named) = names::parent(parent) else {
                    return false;
                };
                self.groups.push(Group {
                    text: parent,
                    parent: named,
                    run,
                    completed: vec![],
                    open: vec![],
                });
                *entry.insert(self.groups.len() - 1)
            }
        };
        let group = &mut self.groups[number];
        let side = if message.tracking_ends {
            &mut group.completed
        } else {
            &mut group.open
        };
        side.push((position, child));
        true
    }
}

/// Return a message with `null` as its `tracking`.
fn without_tracking<'py>(py: Python<'py>, before: &[u8], after: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    const NULL: &[u8] = b"null";
    PyBytes::new_with(py, before.len() + NULL.len() + after.len(), |bytes| {
        let (beginning, rest) = bytes.split_at_mut(before.len());
        let (middle, end) = rest.split_at_mut(NULL.len());
        beginning.copy_from_slice(before);
        middle.copy_from_slice(NULL);
        end.copy_from_slice(after);
        Ok(())
    })
}

/// The messages of one run on the children of one task, by their positions.
struct Group<'a> {
    text: &'a str,
    parent: Parent<'a>,
    run: i64,
    completed: Vec<(usize, Child<'a>)>,
    open: Vec<(usize, Child<'a>)>,
}

impl Group<'_> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let last = self
            .completed
            .iter()
            .filter(|(_, child)| child.is_last)
            .map(|(_, child)| child.index)
            .max();
        let (path, steps) = self.steps();
        (
            (
                self.text,
                self.run,
                self.parent.partition_id,
                self.parent.job_id,
                path,
                steps,
            ),
            texts(py, &self.completed)?,
            positions(py, &self.completed)?,
            PyList::new(py, self.completed.iter().map(|(_, child)| child.index))?,
            last.unwrap_or(0),
            texts(py, &self.open)?,
            positions(py, &self.open)?,
        )
            .into_pyobject(py)
    }

    /// Return the path of the parent, and each step to it: the path above it, its index, and its mark.
    fn steps(&self) -> (String, Vec<(String, u32, bool)>) {
        let mut path = String::new();
        let mut steps = vec![];
        for child in &self.parent.steps {
            steps.push((path.clone(), child.index, child.is_last));
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(child.text.trim_end_matches('*'));
        }
        (path, steps)
    }
}

fn texts<'py>(py: Python<'py>, side: &[(usize, Child<'_>)]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, side.iter().map(|(_, child)| child.text))
}

fn positions<'py>(py: Python<'py>, side: &[(usize, Child<'_>)]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, side.iter().map(|(position, _)| position))
}

//! As [`super::details`], for the options about logs.

/// Option and text.
pub(super) const LOG_DETAILS: &[(&str, &str)] = &[
    (
        "log-path",
        r#"A driver, and for some of them a colon and a path, which ends at the next colon:
.Bl -tag -width Ds
.It Cm k8s-file : Ns Ar path , Ar path
Lines as Kubernetes reads them: time stamp,
.Cm stdout
or
.Cm stderr ,
.Cm F
for a line or
.Cm P
for a part of one, and the text.
The time is local, with nanoseconds and the offset from UTC.
Of several such files the last one counts.
.It Cm json-file : Ns Ar path
A JSON object a line, as Docker writes it:
.Dq log
(the text, with its newline),
.Dq stream
and
.Dq time ,
in UTC.
.It Cm journald
An entry of systemd's journal
.Pq Xr systemd-journald 8
a line, with the container's ids, name, tag and labels.
Standard output has priority 6, standard error 3; a line that begins with
.Li <0>
to
.Li <7>
has that priority.
.It Cm passthrough
The container has the caller's standard input, output and error.
There is no log, no attach socket and no FIFO.
.It Cm none , off , null
Nothing is kept.
.El
.Pp
Drivers given together are all served.
Without a driver:
.Dq Log driver not provided. Use \-\-log-path .
Further refusals:
.Dq log-path must not be empty ,
.Dq k8s-file requires a filename ,
.Dq \&No such log driver X ,
.Dq Failed to open log file PATH: REASON ,
and with
.Cm journald
.Dq Container ID must be longer than 12 characters ."#,
    ),
    (
        "log-size-max",
        r"\-1 by default.
The record that would cross the limit is the first of the new file; a larger one stands alone.
What is in the file at the start counts.
Without
.Fl -log-rotate
the old content is gone.",
    ),
    (
        "log-global-size-max",
        r"\-1 by default.
Counted over all files of the container, from the size of the file at the start.
The record that crosses the limit is written whole, and then nothing more.
The journal and attached clients still get everything.",
    ),
    (
        "log-tag",
        r"Becomes
.Dv CONTAINER_TAG
and
.Dv SYSLOG_IDENTIFIER .
With a log file and without the journal:
.Dq k8s-file doesn't support \-\-log-tag .",
    ),
    (
        "log-label",
        r"The name has upper-case letters, digits and underscores.
Refusals:
.Dq Container labels must be in format LABEL=VALUE (no LABEL present in 'X') ,
.Dq \&... (none or more than one '=' present in 'X') ,
.Dq Container label names must contain only uppercase letters, numbers and underscore (in 'X') ,
and with a log file and without the journal
.Dq k8s-file doesn't support \-\-log-label .",
    ),
    (
        "log-rotate",
        r"Backups are the log's name and a number:
.Pa .1
is the newest,
.Pa .N
the oldest.
Happens when
.Fl -log-size-max
is reached, and when the
.Pa ctl
FIFO asks for a new log.
If it cannot be done, output goes on into the old file.",
    ),
    (
        "log-max-files",
        r"A negative number:
.Dq log-max-files must be non-negative, got N .
0 with
.Fl -log-rotate :
.Dq log-max-files must be at least 1 when log-rotate is enabled, got 0 .",
    ),
    (
        "log-allowlist-dir",
        r"When there is one, a log that is in none of them and below none is refused, at the start and whenever it is opened again:
.Dq log file X is in no directory given with \-\-log-allowlist-dir; log to one of those .",
    ),
    (
        "no-container-partial-message",
        r"Otherwise a part of a line has the field
.Dv CONTAINER_PARTIAL_MESSAGE Ns =true .
Without the journal there is a warning:
.Dq \-\-no-container-partial-message has no effect without journald log driver .",
    ),
    ("no-sync-log", r"Otherwise the log is on disk before the exit file appears."),
];

//! What the manual says about an option beyond the sentence that `--help` has:
//! by its long name, in the language of manual pages (mdoc(7)), a sentence a
//! line. Refusals are quoted as the program writes them, without the prefix.

/// Option and text; in the order of the table, as a test checks.
pub(super) const DETAILS: &[(&str, &str)] = &[
    (
        "api-version",
        r"Callers write
.Fl -api-version Cm 1 ;
the
.Cm 1
is an argument without meaning.
See
.Sx PROTOCOL .",
    ),
    (
        "bundle",
        r"Passed to the runtime for a new or restored container.
Its path may be longer than that of a socket.
With
.Fl -exec
and without this option there is no attach socket and no FIFO.",
    ),
    (
        "cid",
        r"The runtime's last argument, the name of the exit file, and
.Dv CONTAINER_ID_FULL
in the journal.
May be empty.
Without it:
.Dq Container ID not provided. Use \-\-cid .",
    ),
    (
        "conmon-pidfile",
        r"Written by the process in the foreground just before it exits, and never with
.Fl -sync .
The process id is that of the process which stays as long as the container.
If it cannot be written, the exit status is 1, but the container runs.",
    ),
    (
        "container-pidfile",
        r"A file that was there before is not believed unless the runtime writes it anew.
One that is empty or no number means that there is no process; its status is \-1.",
    ),
    (
        "cuuid",
        r"Without it:
.Dq Container UUID not provided. Use \-\-cuuid .",
    ),
    (
        "exec",
        r"Needs
.Fl -exec-process-spec .
With
.Fl -restore :
.Dq Cannot use 'exec' and 'restore' at the same time .",
    ),
    (
        "exec-attach",
        r"Without
.Fl -exec :
.Dq Attach can only be specified with exec .
Without
.Fl -api-version :
.Dq Attach can only be specified for a non-legacy exec session .",
    ),
    (
        "exec-process-spec",
        r"The
.Dq process
object of the OCI runtime specification.
Without it:
.Dq Exec process spec path not provided. Use \-\-exec-process-spec .",
    ),
    (
        "exit-command",
        r"Runs once everything else has been done and every other descriptor is closed; also when the runtime failed.
Its standard input, output and error are
.Pa /dev/null .
Its own exit status means nothing.",
    ),
    ("exit-command-arg", r"Kept word for word and in order; an empty one is an argument, too."),
    (
        "exit-delay",
        r"0 by default.
A negative number:
.Dq Delay before invoking exit command must be greater than or equal to 0 .",
    ),
    (
        "exit-dir",
        r"The status is a decimal number without newline, complete when the name appears.",
    ),
    (
        "full-attach",
        r"Then
.Fl -socket-dir-path
and
.Fl -cuuid
name nothing.",
    ),
    (
        "leave-stdin-open",
        r"Without it, with
.Fl -stdin ,
the end of any client's input is the end of the container's.",
    ),
    (
        "log-level",
        r"In any case of letters;
.Cm fatal
and
.Cm panic
are
.Cm error ,
.Cm warn
is
.Cm warning .
Any other:
.Dq \&No such log level X .",
    ),
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
    (
        "name",
        r"Becomes
.Dv CONTAINER_NAME ,
and
.Dv SYSLOG_IDENTIFIER
if there is no tag.",
    ),
    (
        "no-new-keyring",
        r"Not with
.Fl -exec .",
    ),
    (
        "no-pivot",
        r"Not with
.Fl -exec .",
    ),
    ("no-sync-log", r"Otherwise the log is on disk before the exit file appears."),
    (
        "persist-dir",
        r"The first holds the exit status, the second is empty; see
.Sx FILES .",
    ),
    (
        "replace-listen-pid",
        r"Otherwise only a value that is the monitor's own process id is replaced.",
    ),
    (
        "restore",
        r"The runtime is called with
.Cm restore
and
.Fl -image-path
.Ar directory .",
    ),
    (
        "runtime",
        r"The path of a program; not searched for.
Without it:
.Dq Runtime path not provided. Use \-\-runtime .
One that may not be executed:
.Dq Runtime path X is not valid REASON .",
    ),
    ("runtime-arg", r"In the order given."),
    ("runtime-opt", r"After the monitor's own options for it; for create, restore and exec."),
    (
        "sdnotify-socket",
        r"The container's socket is
.Pa notify/notify.sock
in the bundle.
Passed on are the lines
.Li READY=1 ,
.Li RELOADING=1 ,
.Li STOPPING=1 ,
.Li WATCHDOG=1
and
.Li WATCHDOG=trigger ,
and those that begin with
.Li STATUS= ,
.Li ERRNO= ,
.Li BUSERROR=
or
.Li MONOTONIC_USEC= ;
all others are not the container's to say.
A name that begins with
.Li @
is an abstract one.
Refused are an empty name, one of more than 107 bytes, and
.Fl -exec
without
.Fl -bundle .",
    ),
    (
        "socket-dir-path",
        r"Has to exist.
Not used with
.Fl -full-attach .",
    ),
    (
        "stdin",
        r"Without it, and without
.Fl -terminal ,
it is
.Pa /dev/null .",
    ),
    (
        "sync",
        r"The exit status is then the container's, and there is no
.Fl -conmon-pidfile .",
    ),
    ("syslog", r"In the background there is nowhere else for them to go."),
    (
        "systemd-cgroup",
        r"Not with
.Fl -exec .",
    ),
    (
        "terminal",
        r"The runtime sends it over a console socket in
.Ev TMPDIR .
All its output is standard output.",
    ),
    (
        "timeout",
        r"0 by default; counted from the container's creation.
The status is then \-1; an exec session's message is
.Dq command timed out .",
    ),
    (
        "version",
        r"Two lines: the version of conmon that this program stands in for, and the program's own.",
    ),
];

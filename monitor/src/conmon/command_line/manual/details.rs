//! What the manual says about an option beyond the sentence that `--help` has:
//! by its long name, in the language of manual pages (mdoc(7)), a sentence a
//! line. Refusals are quoted as the program writes them, without the prefix.
//! Options about logs are in [`super::log_details`].

/// Option and text.
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

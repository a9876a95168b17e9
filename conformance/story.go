// Package conformance compares the table with the live kernel: the same story is
// acted by real processes and by a table, and after every step every result and
// the whole state, as /proc shows it, must be the same.
//
// A story is a few lines, each a step: who does what, and what comes back.
//
//	init fork a
//	a fork b
//	a exit_group 3
//	b getppid -> init
//	init wait4 any -> a exited 3
//
// Stories are kept in testdata, an archive (txtar) a theme, each named after the
// rule of docs/semantics.md that it shows. Names stand for numbers: pids differ
// between the two sides, and are compared through the names.
package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"axprocess"

	"golang.org/x/tools/txtar"
)

// This file is about the language of stories.

// Story is a script for a world that starts with one process, named init.
type Story struct {
	Name  string
	Steps []Step
}

// Step is one line: what an actor does. An actor is a thread; the thread that
// leads a process has the process's name. The actor named terminal is the world's
// terminal, seen from its other end: it types and hangs up.
type Step struct {
	Line  int
	Actor string
	Verb  string
	Args  []string
	Want  string // what must come back; "" if the line does not say
}

// String returns the step as its line.
func (s Step) String() string {
	line := strings.Join(append([]string{s.Actor, s.Verb}, s.Args...), " ")
	if s.Want != "" {
		line += " -> " + s.Want
	}
	return line
}

// String returns the story's lines.
func (s Story) String() string {
	var b strings.Builder
	for _, step := range s.Steps {
		b.WriteString(step.String() + "\n")
	}
	return b.String()
}

// verbs are what an actor can do, with the least and the most arguments.
var verbs = map[string][2]int{
	"fork":       {1, 9}, // NAME [parent] [vfork] [newpid] [exit=SIGNAL] [pid=N]
	"clone":      {1, 1}, // NAME: a thread
	"exit":       {1, 1}, // CODE: the thread
	"exit_group": {1, 1}, // CODE
	"exec":       {0, 0},
	"setsid":     {0, 0},
	"setpgid":    {2, 2}, // PID PGID
	"getpgid":    {1, 1},
	"getsid":     {1, 1},
	"getppid":    {0, 0},
	"subreaper":  {1, 1}, // on or off
	"pdeathsig":  {1, 1}, // SIGNAL or 0
	"wait4":      {1, 2}, // PID [OPTIONS]
	"waitid":     {2, 3}, // TYPE PID [OPTIONS]
	"returns":    {0, 0}, // from the call that blocked
	"kill":       {2, 2}, // PID SIGNAL
	"tkill":      {2, 2},
	"tgkill":     {3, 3},
	"action":     {2, 9}, // SIGNAL default|ignore|handle [nocldstop] [nocldwait]
	"block":      {1, 1}, // SIGNAL
	"unblock":    {1, 1},
	"pending":    {0, 0}, // what is blocked and pending
	"accept":     {1, 1}, // SIGNAL|SIGNAL: one that is pending
	"sigqueue":   {3, 3}, // PID SIGNAL VALUE
	"getpid":     {0, 0}, // the bare number
	"lastpid":    {1, 1}, // N: the next number is the one after N
	"opentty":    {0, 0}, // the world's terminal, without taking it
	"setctty":    {0, 1}, // [force]
	"notty":      {0, 0},
	"setpgrp":    {1, 1}, // PGID: the terminal's foreground
	"getpgrp":    {0, 0},
	"getttysid":  {0, 0},
	"readtty":    {0, 0},
	"writetty":   {0, 0},
	"unshare":    {0, 0}, // the children to come are born in a new pid namespace
	"setns":      {1, 1}, // NAME: the children to come are born in the pid namespace of that process
	"types":      {1, 1}, // SIGNAL: what a key of the terminal sends to the foreground
	"hangup":     {0, 0}, // the terminal's other end is closed
	"is":         {1, 9}, // of a process: parent=NAME group=NAME session=NAME state=STATE
}

// theTerminal is the actor that is no thread.
const theTerminal = "terminal"

// Parse reads one story. Empty lines and lines that start with # are left out.
func Parse(name, text string) (Story, error) {
	s := Story{Name: name}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		does, want, _ := strings.Cut(line, "->")
		words := strings.Fields(does)
		step := Step{Line: i + 1, Want: strings.Join(strings.Fields(want), " ")}
		if len(words) < 2 {
			return s, fmt.Errorf("%s, line %d: %q is no step: ACTOR VERB ARGUMENTS [-> RESULT]", name, i+1, line)
		}
		step.Actor, step.Verb, step.Args = words[0], words[1], words[2:]
		takes, known := verbs[step.Verb]
		if !known {
			return s, fmt.Errorf("%s, line %d: there is no verb %q", name, i+1, step.Verb)
		}
		if n := len(step.Args); n < takes[0] || n > takes[1] {
			return s, fmt.Errorf("%s, line %d: %s takes %d to %d arguments, not %d", name, i+1, step.Verb, takes[0], takes[1], n)
		}
		s.Steps = append(s.Steps, step)
	}
	return s, nil
}

// ParseArchive reads the stories of a txtar archive.
func ParseArchive(data []byte) (stories []Story, err error) {
	for _, f := range txtar.Parse(data).Files {
		s, err := Parse(f.Name, string(f.Data))
		if err != nil {
			return nil, err
		}
		stories = append(stories, s)
	}
	return stories, nil
}

// NeedsRoot says whether the story can be acted in a pid namespace of its own
// only: it gives numbers to processes, reaches everybody, uses a bare number, or
// asks the init for what only a real one has.
func (s Story) NeedsRoot() bool {
	return strings.HasPrefix(s.Name, "root ") || slices.ContainsFunc(s.Steps, Step.needsRoot)
}

func (s Step) needsRoot() bool {
	switch s.Verb {
	case "lastpid", "getpid", "unshare", "setns":
		return true
	case "fork":
		return slices.ContainsFunc(s.Args, func(arg string) bool { return arg == "newpid" || strings.HasPrefix(arg, "pid=") })
	case "kill", "tkill", "tgkill", "sigqueue":
		targets := s.Args[:len(s.Args)-1]
		if s.Verb == "sigqueue" {
			targets = s.Args[:1]
		}
		for _, arg := range targets {
			if _, err := strconv.Atoi(arg); err == nil || arg == "init" || strings.HasPrefix(arg, "-") {
				return true
			}
		}
	case "setpgrp", "setctty":
		return s.Actor == "init"
	}
	return false
}

// signalOf reads a signal's name, or any number, since stories try those that are
// none.
func signalOf(word string) (axprocess.Signal, error) {
	if n, err := strconv.ParseInt(word, 10, 32); err == nil {
		return axprocess.Signal(n), nil
	}
	return axprocess.ParseSignal(word)
}

// signalsOf reads NAME|NAME.
func signalsOf(words string) (set axprocess.SignalSet, err error) {
	for word := range strings.SplitSeq(words, "|") {
		sig, err := signalOf(word)
		if err != nil {
			return 0, err
		}
		set |= axprocess.SignalsOf(sig)
	}
	return set, nil
}

// pendingWords names a set of signals.
func pendingWords(set axprocess.SignalSet) string {
	var names []string
	for sig := range set.All() {
		names = append(names, sig.String())
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, "|")
}

// infoWords says what came with a signal, from is what its sender or child is
// called.
func infoWords(info axprocess.SigInfo, from string) string {
	switch info.Code {
	case axprocess.SI_KERNEL:
		return info.Signal.String() + " from the kernel"
	case axprocess.SI_QUEUE:
		return fmt.Sprintf("%s from %s value %d", info.Signal, from, info.Value)
	case axprocess.SI_USER, axprocess.SI_TKILL:
		return info.Signal.String() + " from " + from
	}
	causes := map[axprocess.SigCode]axprocess.WaitCause{axprocess.CLD_EXITED: axprocess.Exited, axprocess.CLD_KILLED: axprocess.Killed,
		axprocess.CLD_DUMPED: axprocess.Dumped, axprocess.CLD_STOPPED: axprocess.Stopped, axprocess.CLD_CONTINUED: axprocess.Continued}
	return info.Signal.String() + " " + describe(from, causes[info.Code], info.Status)
}

var optionNames = map[string]axprocess.WaitOptions{
	"WNOHANG": axprocess.WNOHANG, "WUNTRACED": axprocess.WUNTRACED, "WSTOPPED": axprocess.WSTOPPED,
	"WEXITED": axprocess.WEXITED, "WCONTINUED": axprocess.WCONTINUED, "WNOWAIT": axprocess.WNOWAIT,
	"__WNOTHREAD": axprocess.WNOTHREAD, "__WALL": axprocess.WALL, "__WCLONE": axprocess.WCLONE,
}

// optionsOf reads NAME|NAME or a number.
func optionsOf(words []string) (opts axprocess.WaitOptions, err error) {
	if len(words) == 0 {
		return 0, nil
	}
	for name := range strings.SplitSeq(words[0], "|") {
		if n, err := strconv.ParseInt(name, 0, 64); err == nil {
			opts |= axprocess.WaitOptions(n)
			continue
		}
		opt, known := optionNames[name]
		if !known {
			return 0, fmt.Errorf("there is no option %q", name)
		}
		opts |= opt
	}
	return opts, nil
}

var idTypes = map[string]axprocess.IDType{"P_ALL": axprocess.P_ALL, "P_PID": axprocess.P_PID, "P_PGID": axprocess.P_PGID}

// idTypeOf reads P_ALL, P_PID, P_PGID or a number.
func idTypeOf(word string) (axprocess.IDType, error) {
	if n, err := strconv.ParseInt(word, 10, 32); err == nil {
		return axprocess.IDType(n), nil
	}
	t, known := idTypes[word]
	if !known {
		return 0, fmt.Errorf("there is no id type %q", word)
	}
	return t, nil
}

// birth is what a fork's arguments ask for.
type birth struct {
	name                  string
	parent, vfork, newpid bool
	exitSignal            axprocess.Signal
	pid                   axprocess.PID
}

func birthOf(args []string) (b birth, err error) {
	b = birth{name: args[0], exitSignal: axprocess.SIGCHLD}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "parent":
			b.parent = true
		case "vfork":
			b.vfork = true
		case "newpid":
			b.newpid = true
		case "exit":
			b.exitSignal, err = signalOf(value)
		case "pid":
			var n int64
			n, err = strconv.ParseInt(value, 10, 32)
			b.pid = axprocess.PID(n)
		default:
			err = fmt.Errorf("fork does not know %q", arg)
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

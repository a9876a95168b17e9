package strace

import (
	"bytes"
	"time"

	"axprocess"
)

// This file is about one line: whose it is, when, and what it tells.
//
// Invariant: a line that does not read as strace writes it is Noise; nothing is
// guessed from a part of one.

// Kind says what a line tells.
type Kind uint8

// The kinds of lines.
const (
	Noise       Kind = iota // not strace's: a program's output, or damage
	Call                    // a whole call: name(args) = result
	Begun                   // name(args <unfinished ...>
	Resumed                 // <... name resumed>args) = result
	Signal                  // --- SIGNAL {…} ---
	Stopped                 // --- stopped by SIGNAL ---
	Exited                  // +++ exited with N +++
	Killed                  // +++ killed by SIGNAL +++
	Superseded              // +++ superseded by execve in pid N +++
	Attached                // strace: Process N attached
	Detached                // strace: Process N detached
	Personality             // [ Process PID=N runs in 32 bit mode. ]
)

// Line is a line of a log. Its slices are valid until the next one is read.
type Line struct {
	Number int64
	Kind   Kind
	TID    int32 // whose line it is, in strace's pid namespace; 0: not printed
	Stamp  Stamp
	Time   time.Duration // as Stamp says
	Spent  time.Duration // -T; < 0: not printed

	Op     Op     // of Call, Begun, Resumed
	Name   []byte // likewise
	Args   []byte // Call: all; Begun: so far; Resumed: the rest
	Result Result // of Call, Resumed

	Signal axprocess.Signal // of Signal, Stopped, Killed
	Info   []byte           // of Signal: what is in the braces
	Core   bool             // of Killed
	Status int32            // of Exited
	Other  int32            // of Superseded, Attached, Detached: the number named
	Open   bool             // of Begun: strace let go of it, <detached ...>
	Text   []byte           // the whole line
}

// Stamp says what Time is.
type Stamp uint8

// The kinds of time stamps.
const (
	NoStamp  Stamp = iota
	Epoch          // -ttt: since 1970
	Clock          // -t, -tt: since midnight
	Relative       // -r: since the line before
)

var (
	unfinished = []byte(" <unfinished ...>")
	letGo      = []byte(" <detached ...>")
	pidChanged = []byte(" <pid changed to ")
	resumed    = []byte(" resumed>")
)

// parse reads one line into l, whose Number is set.
func (l *Line) parse(text []byte) {
	*l = Line{Number: l.Number, Text: text, Spent: -1}
	rest, ok := l.prefix(text)
	if !ok || len(rest) == 0 {
		return
	}
	switch rest[0] {
	case '+':
		l.plus(rest)
	case '-':
		l.minus(rest)
	case '<':
		l.resumption(rest)
	case '[':
		if n, ok := between(rest, "[ Process PID=", " runs in "); ok {
			l.Kind, l.Other = Personality, n
		}
	default:
		if !l.message(rest) {
			l.call(rest)
		}
	}
}

// prefix takes off whose line it is, and the stamp.
func (l *Line) prefix(b []byte) ([]byte, bool) {
	rest := b
	if bytes.HasPrefix(b, []byte("[pid ")) {
		n, after, ok := number(bytes.TrimLeft(b[len("[pid "):], " "))
		after = decoration(after)
		if !ok || n <= 0 || n > maxTID || !bytes.HasPrefix(after, []byte("] ")) {
			return nil, false
		}
		l.TID, rest = int32(n), after[2:]
	} else if n, after, ok := number(b); ok {
		if after = decoration(after); len(after) > 0 && after[0] == ' ' {
			if n <= 0 || n > maxTID {
				return nil, false
			}
			l.TID, rest = int32(n), after
		}
	}
	return l.stamp(bytes.TrimLeft(rest, " "))
}

// maxTID is the highest number a thread can have on Linux (PID_MAX_LIMIT).
const maxTID = 1 << 22

// stamp takes off the time, and what -i and -n print after it.
func (l *Line) stamp(b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		t, kind, after := readTime(b)
		if kind == NoStamp {
			return nil, false
		}
		l.Time, l.Stamp, b = t, kind, bytes.TrimLeft(after, " ")
		if bytes.HasPrefix(b, []byte("(+")) { // -r with -t
			_, after, ok := bytes.Cut(b, []byte(") "))
			if !ok {
				return nil, false
			}
			b = after
		}
	}
	for len(b) > 1 && b[0] == '[' && (isHex(b[1]) || b[1] == ' ' || b[1] == '?') && !bytes.HasPrefix(b, []byte("[ Process")) {
		end := bytes.IndexByte(b, ']')
		if end < 0 || end > 24 {
			return nil, false
		}
		b = bytes.TrimLeft(b[end+1:], " ")
	}
	return b, true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// readTime reads 1795849585.681806, 07:06:26, 07:06:26.225777 or 0.000991.
func readTime(b []byte) (time.Duration, Stamp, []byte) {
	whole, rest, ok := number(b)
	if !ok || len(rest) == 0 {
		return 0, NoStamp, nil
	}
	kind := Epoch
	switch {
	case rest[0] == ':':
		kind = Clock
		for range 2 {
			if len(rest) < 3 || rest[0] != ':' {
				return 0, NoStamp, nil
			}
			part, after, ok := number(rest[1:])
			if !ok || part > 60 {
				return 0, NoStamp, nil
			}
			whole, rest = whole*60+part, after
		}
	case rest[0] == '.' && whole < 1e8:
		kind = Relative // strace prints -r with six digits; no epoch is this near 1970
	case rest[0] == ' ' && whole < 1e8:
		return 0, NoStamp, nil
	}
	if whole > 1<<33 {
		return 0, NoStamp, nil
	}
	t := time.Duration(whole) * time.Second
	if len(rest) > 0 && rest[0] == '.' {
		unit := time.Second / 10
		for rest = rest[1:]; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
			t += time.Duration(rest[0]-'0') * unit
			unit /= 10
		}
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return 0, NoStamp, nil
	}
	return t, kind, rest
}

// plus reads the three lines that end a thread.
func (l *Line) plus(b []byte) {
	if !bytes.HasSuffix(b, []byte(" +++")) {
		return
	}
	b = b[:len(b)-len(" +++")]
	switch {
	case bytes.HasPrefix(b, []byte("+++ exited with ")):
		if n, rest, ok := number(b[len("+++ exited with "):]); ok && len(rest) == 0 && n <= 255 {
			l.Kind, l.Status = Exited, int32(n)
		}
	case bytes.HasPrefix(b, []byte("+++ killed by ")):
		name := b[len("+++ killed by "):]
		name, core := bytes.CutSuffix(name, []byte(" (core dumped)"))
		if sig, ok := SignalNamed(name); ok && sig != 0 {
			l.Kind, l.Signal, l.Core = Killed, sig, core
		}
	case bytes.HasPrefix(b, []byte("+++ superseded by execve in pid ")):
		if n, rest, ok := number(b[len("+++ superseded by execve in pid "):]); ok && len(decoration(rest)) == 0 && n > 0 && n <= maxTID {
			l.Kind, l.Other = Superseded, int32(n)
		}
	}
}

// minus reads a signal, or a stop.
func (l *Line) minus(b []byte) {
	b, found := bytes.CutPrefix(b, []byte("--- "))
	b, ended := bytes.CutSuffix(b, []byte(" ---"))
	if !found || !ended {
		return
	}
	if name, ok := bytes.CutPrefix(b, []byte("stopped by ")); ok {
		if sig, ok := SignalNamed(name); ok && sig != 0 {
			l.Kind, l.Signal = Stopped, sig
		}
		return
	}
	name, info, _ := bytes.Cut(b, []byte(" "))
	if sig, ok := SignalNamed(name); ok && sig != 0 {
		l.Kind, l.Signal = Signal, sig
		l.Info = bytes.TrimSuffix(bytes.TrimPrefix(info, []byte("{")), []byte("}"))
	}
}

// message reads what strace says about itself, where it goes into the log.
func (l *Line) message(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("strace: "))
	b, ok := bytes.CutPrefix(b, []byte("Process "))
	if !ok {
		return false
	}
	n, rest, ok := number(b)
	rest = decoration(rest)
	switch {
	case !ok || n <= 0 || n > maxTID:
	case bytes.HasPrefix(rest, []byte(" attached")):
		l.Kind, l.Other = Attached, int32(n)
	case bytes.HasPrefix(rest, []byte(" detached")):
		l.Kind, l.Other = Detached, int32(n)
	}
	return true
}

// call reads name(args) = result, or what is begun of one.
func (l *Line) call(b []byte) {
	i := 0
	for i < len(b) && isName(b[i]) {
		i++
	}
	if i == 0 || i == len(b) || b[i] != '(' || i > 64 {
		return
	}
	name, args := b[:i], b[i+1:]
	if head, ok := bytes.CutSuffix(args, unfinished); ok {
		l.begun(name, head)
		return
	}
	if head, ok := bytes.CutSuffix(args, letGo); ok {
		l.begun(name, head)
		l.Open = true
		return
	}
	if head, ok := bytes.CutSuffix(args, []byte(" ...>")); ok {
		if at := bytes.LastIndex(head, pidChanged); at >= 0 { // an exec by a thread, which goes on as its leader
			l.begun(name, head[:at])
			return
		}
	}
	l.finish(Call, name, args)
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c == '?'
}

func (l *Line) begun(name, args []byte) {
	l.Kind, l.Name, l.Args, l.Op = Begun, name, args, ops[string(name)]
}

// resumption reads <... name resumed>args) = result.
func (l *Line) resumption(b []byte) {
	b, ok := bytes.CutPrefix(b, []byte("<... "))
	if !ok {
		return
	}
	at := bytes.Index(b, resumed)
	if at <= 0 {
		return
	}
	name, rest := b[:at], b[at+len(resumed):]
	for _, c := range name {
		if !isName(c) {
			return
		}
	}
	rest, open := bytes.CutSuffix(rest, letGo)
	if open {
		return
	}
	if _, again := bytes.CutSuffix(rest, unfinished); again {
		return
	}
	l.finish(Resumed, name, rest)
}

// finish reads what a call ends with. Arguments and results of calls that don't
// matter are not looked at, but that there is a result.
func (l *Line) finish(kind Kind, name, b []byte) {
	op := ops[string(name)]
	if op == Other {
		if bytes.LastIndex(b, []byte(" = ")) > 0 {
			l.Kind, l.Name = kind, name
		}
		return
	}
	end := closing(b)
	if end < 0 {
		return
	}
	after, ok := bytes.CutPrefix(bytes.TrimLeft(b[end+1:], " "), []byte("= "))
	if !ok || !l.result(after) {
		return
	}
	l.Kind, l.Op, l.Name, l.Args = kind, op, name, b[:end]
}

package strace

import (
	"bytes"
	"strings"

	"axprocess"
)

// This file is about arguments: how strace writes numbers, pids, signals, flags
// and statuses. Functions take the text of one argument and say whether it read
// as what it should be.

// number reads a number in decimal, 0x hexadecimal or 0 octal from b's start.
func number(b []byte) (n int64, rest []byte, ok bool) {
	base, i := int64(10), 0
	if len(b) > 2 && b[0] == '0' && b[1] == 'x' {
		base, i = 16, 2
	}
	first := i
	for ; i < len(b); i++ {
		d := int64(b[i]) - '0'
		switch {
		case d >= 0 && d <= 9:
		case base == 16 && b[i] >= 'a' && b[i] <= 'f':
			d = int64(b[i]) - 'a' + 10
		default:
			d = -1
		}
		if d < 0 {
			break
		}
		if n > (1<<63-1-d)/base {
			if base != 16 || i-first > 15 {
				return 0, nil, false
			}
			n = int64(uint64(n)<<4 | uint64(d)) // an address with its highest bit set
			continue
		}
		n = n*base + d
	}
	return n, b[i:], i > first
}

// decoration takes off <comm> or <file> after a number (-y, -Y).
func decoration(b []byte) []byte {
	if len(b) == 0 || b[0] != '<' {
		return b
	}
	depth := 0
	for i, c := range b {
		switch c {
		case '<':
			depth++
		case '>':
			if depth--; depth == 0 {
				return b[i+1:]
			}
		}
	}
	return b
}

// outer takes off a translation, /* 22847 in strace's PID NS */.
func outer(b []byte) (int32, []byte) {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(b, " "), []byte("/* "))
	if !ok {
		return 0, b
	}
	n, rest, ok := number(rest)
	rest, in := bytes.CutPrefix(rest, []byte(" in strace's PID NS */"))
	if !ok || !in || n <= 0 || n > maxTID {
		return 0, b
	}
	return int32(n), rest
}

// between reads the number between two texts that b begins with.
func between(b []byte, before, after string) (int32, bool) {
	b, ok := bytes.CutPrefix(b, []byte(before))
	if !ok {
		return 0, false
	}
	n, rest, ok := number(b)
	return int32(n), ok && n > 0 && n <= maxTID && bytes.HasPrefix(rest, []byte(after))
}

// closing finds the parenthesis that ends a call's arguments; -1 if there is
// none. Strings, <decorations> and nested structures are passed over.
func closing(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '(', '{', '[':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		case '}', ']':
			if depth > 0 {
				depth-- // a resumed call may close what its beginning opened
			}
		case '"':
			if i = pastString(b, i); i < 0 {
				return lastResort(b)
			}
		case '<':
			if i > 0 && (b[i-1] >= '0' && b[i-1] <= '9' || b[i-1] == 'D') { // a number, or AT_FDCWD
				i = len(b) - len(decoration(b[i:])) - 1
				if i < 0 || b[i] != '>' {
					return lastResort(b)
				}
			}
		}
	}
	return lastResort(b)
}

// lastResort is for arguments whose middle was left out.
func lastResort(b []byte) int {
	if at := bytes.LastIndex(b, []byte(") = ")); at >= 0 && len(b) >= headSize/2 {
		return at
	}
	return -1
}

// pastString returns the index of the quote that ends the string at i, or -1.
func pastString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// Split cuts arguments at their commas, but those inside of strings and
// structures, and appends them to to.
func Split(args []byte, to [][]byte) [][]byte {
	depth, from := 0, 0
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth--
		case '"':
			if i = pastString(args, i); i < 0 {
				return append(to, bytes.TrimSpace(args[from:]))
			}
		case '<':
			if i > 0 && args[i-1] >= '0' && args[i-1] <= '9' {
				if next := len(args) - len(decoration(args[i:])) - 1; next > i {
					i = next
				}
			}
		case ',':
			if depth == 0 {
				to = append(to, bytes.TrimSpace(args[from:i]))
				from = i + 1
			}
		}
	}
	if rest := bytes.TrimSpace(args[from:]); len(rest) > 0 {
		to = append(to, rest)
	}
	return to
}

// Pid reads a number that goes by a process, a thread or a group, and the same
// number in strace's namespace where strace says so (0 where not).
func Pid(arg []byte) (n int64, outside int32, ok bool) {
	arg, negative := bytes.CutPrefix(arg, []byte("-"))
	n, rest, ok := number(arg)
	outside, rest = outer(decoration(rest))
	if n > 1<<31 && n < 1<<32 { // an int printed as unsigned
		n = int64(int32(n))
	}
	if negative {
		n = -n
	}
	return n, outside, ok && len(rest) == 0
}

// Int reads a plain number, which strace may have commented.
func Int(arg []byte) (int64, bool) {
	if at := bytes.Index(arg, []byte(" /* ")); at > 0 && bytes.HasSuffix(arg, []byte(" */")) {
		arg = arg[:at]
	}
	arg, negative := bytes.CutPrefix(arg, []byte("-"))
	n, rest, ok := number(arg)
	if negative {
		n = -n
	}
	return n, ok && len(decoration(rest)) == 0
}

var signals = func() map[string]axprocess.Signal {
	m := map[string]axprocess.Signal{"SIGRTMIN": axprocess.SIGRTMIN, "SIGRTMAX": axprocess.SIGRTMAX,
		"SIGPOLL": axprocess.SIGIO, "SIGCLD": axprocess.SIGCHLD, "SIGIOT": axprocess.SIGABRT}
	for sig := axprocess.Signal(1); sig < axprocess.SIGRTMIN; sig++ {
		m[sig.String()] = sig
	}
	return m
}()

// SignalNamed reads a signal as strace names it: SIGTERM, SIGRT_1, or a number.
func SignalNamed(name []byte) (axprocess.Signal, bool) {
	if sig, ok := signals[string(name)]; ok {
		return sig, true
	}
	if rest, ok := bytes.CutPrefix(name, []byte("SIGRT_")); ok {
		n, rest, ok := number(rest)
		return axprocess.SIGRTMIN + axprocess.Signal(n), ok && len(rest) == 0 && n <= 32
	}
	n, ok := Int(name)
	if !ok || n < -1<<31 || n >= 1<<31 {
		return 0, false
	}
	return axprocess.Signal(n), true
}

// Flags calls do for each of A|B|C, and says whether none is empty.
func Flags(arg []byte, do func(name string)) bool {
	if len(arg) == 0 {
		return false
	}
	for part := range bytes.SplitSeq(arg, []byte("|")) {
		if len(part) == 0 {
			return false
		}
		do(string(part))
	}
	return true
}

// Field returns the text of name=… in a structure's inside or in named arguments.
func Field(args []byte, name string) ([]byte, bool) {
	for from := 0; ; {
		at := bytes.Index(args[from:], []byte(name))
		if at < 0 {
			return nil, false
		}
		at += from
		from = at + len(name)
		if from < len(args) && args[from] == '=' && (at == 0 || strings.IndexByte(" ,{", args[at-1]) >= 0) {
			value := args[from+1:]
			depth := 0
			for i, c := range value {
				switch c {
				case '{', '[', '(':
					depth++
				case '}', ']', ')':
					if depth == 0 {
						return value[:i], true
					}
					depth--
				case ',':
					if depth == 0 {
						return value[:i], true
					}
				}
			}
			return value, true
		}
	}
}

// Status reads a wait status, [{WIFEXITED(s) && WEXITSTATUS(s) == 1}].
func Status(arg []byte) (cause axprocess.WaitCause, code int32, ok bool) {
	arg = bytes.TrimSuffix(bytes.TrimPrefix(arg, []byte("[{")), []byte("}]"))
	what, value, _ := bytes.Cut(arg, []byte(" == "))
	value, core := bytes.CutSuffix(value, []byte(" && WCOREDUMP(s)"))
	named := func(cause axprocess.WaitCause) (axprocess.WaitCause, int32, bool) {
		sig, ok := SignalNamed(value)
		return cause, int32(sig), ok
	}
	switch string(what) {
	case "WIFEXITED(s) && WEXITSTATUS(s)":
		n, ok := Int(value)
		return axprocess.Exited, int32(n), ok
	case "WIFSIGNALED(s) && WTERMSIG(s)":
		if core {
			return named(axprocess.Dumped)
		}
		return named(axprocess.Killed)
	case "WIFSTOPPED(s) && WSTOPSIG(s)":
		return named(axprocess.Stopped)
	case "WIFCONTINUED(s)":
		return axprocess.Continued, int32(axprocess.SIGCONT), true
	}
	return 0, 0, false
}

var codes = map[string]axprocess.WaitCause{"CLD_EXITED": axprocess.Exited, "CLD_KILLED": axprocess.Killed,
	"CLD_DUMPED": axprocess.Dumped, "CLD_STOPPED": axprocess.Stopped, "CLD_CONTINUED": axprocess.Continued,
	"CLD_TRAPPED": axprocess.Stopped}

// Siginfo reads what waitid or SIGCHLD tells: who, and what happened.
func Siginfo(info []byte) (pid int64, outside int32, cause axprocess.WaitCause, code int32, ok bool) {
	who, _ := Field(info, "si_pid")
	pid, outside, ok = Pid(who)
	what, _ := Field(info, "si_code")
	cause = codes[string(what)]
	status, _ := Field(info, "si_status")
	if cause == axprocess.Exited {
		n, isInt := Int(status)
		return pid, outside, cause, int32(n), ok && isInt
	}
	sig, isSignal := SignalNamed(status)
	return pid, outside, cause, int32(sig), ok && cause != 0 && isSignal
}

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"axprocess"
)

// This file is about what travels between the live driver and its processes, and
// about what /proc shows of them.

// encode makes a step a command: its letter and its numbers.
func (l *Live) encode(a *liveActor, s Step) ([]int, error) {
	letters := map[string]rune{"clone": 't', "exit": 'x', "exit_group": 'g', "exec": 'e', "setsid": 's', "setpgid": 'p',
		"getpgid": 'P', "getsid": 'S', "getppid": 'q', "getpid": 'm', "lastpid": 'n', "unshare": 'u', "setns": 'U', "pending": 'B'}
	v := []int{int(letters[s.Verb])}
	switch s.Verb {
	case "exec", "setsid", "getppid", "getpid", "unshare", "pending":
		return v, nil
	case "clone":
		l.tokens++
		return append(v, 1000+l.tokens), nil
	case "exit", "exit_group", "lastpid":
		n, err := strconv.Atoi(s.Args[0])
		return append(v, n), err
	case "setpgid":
		if v, err := l.pids(a, v, s.Args); err != nil || l.mayMove(a, v[1], v[2]) {
			return v, err
		}
		return nil, fmt.Errorf("%s would put an init into a group that goes by another number of its namespace", s)
	case "getpgid", "getsid", "setns":
		return l.pids(a, v, s.Args)
	case "fork":
		return l.encodeFork(s)
	case "subreaper":
		on := 0
		if s.Args[0] == "on" {
			on = 1
		}
		return []int{'r', on}, nil
	case "wait4":
		return l.encodeWait(a, []int{'w'}, s.Args)
	case "waitid":
		of, err := idTypeOf(s.Args[0])
		if err != nil {
			return nil, err
		}
		return l.encodeWait(a, []int{'W', int(of)}, s.Args[1:])
	case "kill", "tkill", "tgkill":
		return l.encodeKill(a, s)
	case "sigqueue":
		return l.encodeQueue(a, s)
	case "accept":
		set, err := signalsOf(s.Args[0])
		return []int{'a', int(uint32(set)), int(set >> 32)}, err
	case "pdeathsig", "action", "block", "unblock":
		return encodeSignal(s)
	}
	return l.encodeTerminal(a, s)
}

// mayMove says whether a setpgid is safe for the machine: an init whose group goes
// by another number of its namespace waits for that number to be free when it
// exits, for ever (kernel: zap_pid_ns_processes). The world's own init leads its
// session, so it can't be moved.
func (l *Live) mayMove(a *liveActor, pid, pgid int) bool {
	target := a.process.name
	if pid != 0 {
		target = l.told(a, pid)
	}
	i := slices.IndexFunc(l.processes, func(p *liveProcess) bool { return p.name == target })
	if i <= 0 || pgid == 0 || l.processes[i].gone {
		return true
	}
	space := l.processes[i].space()
	group := l.told(a, pgid)
	_, inside := l.of[group][space]
	return l.of[target][space] != 1 || group == target || !inside
}

func (l *Live) pids(a *liveActor, v []int, words []string) ([]int, error) {
	for _, word := range words {
		n, err := l.pid(a.process.space(), word)
		if err != nil {
			return nil, err
		}
		v = append(v, int(n))
	}
	return v, nil
}

func (l *Live) encodeFork(s Step) ([]int, error) {
	const cloneParent, cloneVfork, cloneNewPID = 0x8000, 0x4000, 0x20000000
	b, err := birthOf(s.Args)
	if err != nil {
		return nil, err
	}
	flags := 0
	if b.parent {
		flags |= cloneParent
	}
	if b.vfork {
		flags |= cloneVfork
	}
	if b.newpid {
		flags |= cloneNewPID
	}
	signal := int(b.exitSignal)
	if b.parent {
		signal = 0 // clone3 wants none: it is the forker's own
	}
	l.tokens++
	return []int{'f', 1000 + l.tokens, flags, signal, int(b.pid)}, nil
}

func (l *Live) encodeWait(a *liveActor, v []int, words []string) ([]int, error) {
	v, err := l.pids(a, v, words[:1])
	if err != nil {
		return nil, err
	}
	opts, err := optionsOf(words[1:])
	return append(v, int(int32(opts))), err
}

func (l *Live) encodeKill(a *liveActor, s Step) ([]int, error) {
	last := len(s.Args) - 1
	v, err := l.pids(a, []int{map[string]int{"kill": 'k', "tkill": 'j', "tgkill": 'K'}[s.Verb]}, s.Args[:last])
	if err != nil {
		return nil, err
	}
	if !l.inside {
		for i, n := range v[1:] {
			_, known := l.of[strings.TrimPrefix(s.Args[i], "-")]
			if n <= 1 || !known || s.Args[i] == "init" {
				return nil, fmt.Errorf("%s is refused outside of a pid namespace", s)
			}
		}
	}
	sig, err := signalOf(s.Args[last])
	return append(v, int(sig)), err
}

// encodeQueue is encodeKill for a process, and a value.
func (l *Live) encodeQueue(a *liveActor, s Step) ([]int, error) {
	value, err := strconv.ParseUint(s.Args[2], 10, 31)
	if err != nil {
		return nil, err
	}
	v, err := l.encodeKill(a, Step{Actor: s.Actor, Verb: "kill", Args: s.Args[:2]})
	if err != nil {
		return nil, err
	}
	return append([]int{'Q'}, v[1], v[2], int(value)), nil
}

func encodeSignal(s Step) ([]int, error) {
	const block, unblock = 0, 1 // SIG_BLOCK, SIG_UNBLOCK
	sig, err := signalOf(s.Args[0])
	if err != nil {
		return nil, err
	}
	switch s.Verb {
	case "pdeathsig":
		return []int{'d', int(sig)}, nil
	case "block":
		return []int{'b', block, int(sig)}, nil
	case "unblock":
		return []int{'b', unblock, int(sig)}, nil
	}
	kind := slices.Index([]string{"default", "ignore", "handle"}, s.Args[1])
	flags := 0
	for _, arg := range s.Args[2:] {
		switch arg {
		case "nocldstop":
			flags |= int(axprocess.NoChildStop)
		case "nocldwait":
			flags |= int(axprocess.NoChildWait)
		}
	}
	return []int{'i', int(sig), kind, flags}, nil
}

func (l *Live) encodeTerminal(a *liveActor, s Step) ([]int, error) {
	letters := map[string]int{"opentty": 'o', "setctty": 'c', "notty": 'n', "setpgrp": 'p', "getpgrp": 'g', "getttysid": 's',
		"readtty": 'r', "writetty": 'w'}
	letter, known := letters[s.Verb]
	if !known {
		return nil, fmt.Errorf("the live side does not know %q", s.Verb)
	}
	v := []int{'T', letter}
	switch {
	case s.Verb == "opentty":
		return append(v, l.pts), nil
	case s.Verb == "setctty" && len(s.Args) > 0:
		return append(v, 1), nil
	case s.Verb == "setpgrp":
		return l.pids(a, v, s.Args)
	}
	return append(v, 0), nil
}

// decode makes an answer the words that the table uses.
func (l *Live) decode(a *liveActor, s Step, sent, v []int) (Outcome, error) {
	if v[0] == -1000 {
		return Outcome{}, fmt.Errorf("%s was refused for safety", s)
	}
	if v[0] < 0 {
		return Outcome{Text: errnoName(v[0])}, nil
	}
	switch s.Verb {
	case "clone":
		if _, err := l.accept(s.Args[0], sent[1], a.process, a); err != nil {
			return Outcome{}, err
		}
		return Outcome{Text: s.Args[0]}, nil
	case "exec":
		// It leads its process now, and goes by its number.
		l.inherit(s.Actor, a.process.name)
		a.tid = a.process.pid
		return Outcome{Text: "ok"}, nil
	case "setsid", "getpgid", "getsid", "getppid", "getpgrp", "getttysid":
		return Outcome{Text: l.told(a, v[0])}, nil
	case "getpid":
		return Outcome{Text: strconv.Itoa(v[0])}, nil
	case "pending":
		return Outcome{Text: pendingWords(axprocess.SignalSet(v[0]) | axprocess.SignalSet(v[1])<<32)}, nil
	case "accept":
		info := axprocess.SigInfo{Signal: axprocess.Signal(v[0]), Code: axprocess.SigCode(v[1]), Status: int32(v[3]), Value: uint64(v[4])}
		return Outcome{Text: infoWords(info, l.told(a, v[2]))}, nil
	case "wait4":
		if v[0] == 0 {
			return Outcome{Text: "nothing"}, nil
		}
		return Outcome{Text: statusWords(l.told(a, v[0]), v[1])}, nil
	case "waitid":
		if v[1] == 0 {
			return Outcome{Text: "nothing"}, nil
		}
		// CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED
		causes := [...]axprocess.WaitCause{1: axprocess.Exited, 2: axprocess.Killed, 3: axprocess.Dumped, 5: axprocess.Stopped, 6: axprocess.Continued}
		if v[2] < 1 || v[2] > 6 {
			return Outcome{Text: fmt.Sprintf("si_code %d", v[2])}, nil
		}
		return Outcome{Text: describe(l.told(a, v[1]), causes[v[2]], int32(v[3]))}, nil
	}
	return Outcome{Text: "ok"}, nil
}

// statusWords reads wait(2)'s status.
func statusWords(name string, status int) string {
	switch {
	case status == 0xffff:
		return describe(name, axprocess.Continued, 0)
	case status&0xff == 0x7f:
		return describe(name, axprocess.Stopped, int32(status>>8&0xff))
	case status&0x7f != 0:
		return describe(name, axprocess.Killed, int32(status&0x7f))
	}
	return describe(name, axprocess.Exited, int32(status>>8&0xff))
}

// stat is what the suite wants of /proc/PID/task/TID/stat.
type stat struct {
	state                      string
	ppid, pgid, sid, tty, fore int
	threads                    string // how many, a zombie leader among them
}

func readStat(path string) (s stat, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	return parseStat(text)
}

func parseStat(text []byte) (s stat, err error) {
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 20 {
		return s, fmt.Errorf("a stat has %d fields: %q", len(f), text)
	}
	s.state, s.threads = f[0], f[17]
	for i, to := range []*int{&s.ppid, &s.pgid, &s.sid, &s.tty, &s.fore} {
		if *to, err = strconv.Atoi(f[i+1]); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (l *Live) seen(p *liveProcess, st stat) (Seen, error) {
	s := Seen{Parent: l.host(st.ppid), Group: l.host(st.pgid), Session: l.host(st.sid), State: Runs}
	threads, busy, err := l.threads(p, st)
	if err != nil {
		return s, err
	}
	s.Threads = strings.Join(threads, ",")
	switch {
	case busy:
		s.State = Busy
	case st.state == "Z" && len(threads) > 0:
		s.State = LeaderExited
	case st.state == "Z" || st.state == "X":
		s.State = Zombie
	case st.state == "T":
		s.State = Stopped
	}
	if st.tty != 0 && s.State != Zombie {
		s.Foreground = "0"
		if st.fore > 0 {
			s.Foreground = l.host(st.fore)
		}
	}
	return s, nil
}

// threads returns the names of the live threads of a process, ascending, and
// whether one of them is on a processor or waits for one.
func (l *Live) threads(p *liveProcess, st stat) (names []string, busy bool, err error) {
	if st.threads == "1" { // most: no need to look further
		if st.state != "Z" && st.state != "X" {
			names = []string{l.host(p.pid)}
		}
		return names, st.state == "R", nil
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	if err != nil {
		return nil, false, err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return nil, false, err
		}
		t, err := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", p.pid, tid))
		if err != nil {
			return nil, false, err
		}
		busy = busy || t.state == "R"
		// A leader that has exited stays; another thread goes, and until it has
		// gone its number is in use.
		if tid != p.pid || t.state != "Z" && t.state != "X" {
			names = append(names, l.host(tid))
		}
	}
	slices.Sort(names)
	return names, busy, nil
}

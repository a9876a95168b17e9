package main

import (
	"fmt"
	"strconv"
	"strings"

	"axprocess"
)

// This file is about the job table: what a shell remembers of its pipelines, and
// which of them % means.

// jobState is how a job stands: as its processes do.
type jobState int

const (
	running jobState = iota
	stopped
	done
)

// job is a pipeline in a group of its own.
type job struct {
	number  int // 0: in the foreground since its start, and not in the table
	pgid    axprocess.PID
	text    string
	members []member
	told    bool // its state has been shown
}

// member is a process of a job, by number: the shell learns of it by waiting.
type member struct {
	pid    axprocess.PID
	state  jobState
	result axprocess.WaitResult
}

// state is stopped if a member is and none runs.
func (j *job) state() jobState {
	state := done
	for _, m := range j.members {
		switch m.state {
		case running:
			return running
		case stopped:
			state = stopped
		}
	}
	return state
}

// status is $?: of the last process, or of what stopped the job.
func (j *job) status() int {
	if j.state() == stopped {
		for _, m := range j.members {
			if m.state == stopped {
				return 128 + int(m.result.Code)
			}
		}
	}
	return exitStatus(j.members[len(j.members)-1].result)
}

func exitStatus(r axprocess.WaitResult) int {
	if r.Cause == axprocess.Exited {
		return int(r.Code)
	}
	return 128 + int(r.Code)
}

// signalTexts are strsignal(3)'s, for those that a session is likely to meet.
var signalTexts = map[axprocess.Signal]string{
	axprocess.SIGHUP: "Hangup", axprocess.SIGINT: "Interrupt", axprocess.SIGQUIT: "Quit",
	axprocess.SIGKILL: "Killed", axprocess.SIGPIPE: "Broken pipe", axprocess.SIGTERM: "Terminated",
	axprocess.SIGUSR1: "User defined signal 1", axprocess.SIGUSR2: "User defined signal 2",
}

// word is the job's state in words.
func (j *job) word() string {
	switch j.state() {
	case running:
		return "Running"
	case stopped:
		return "Stopped"
	}
	r := j.members[len(j.members)-1].result
	switch {
	case r.Cause != axprocess.Exited:
		return signalTexts[axprocess.Signal(r.Code)]
	case r.Code != 0:
		return fmt.Sprintf("Exit %d", r.Code)
	}
	return "Done"
}

// jobTable is the jobs that are not in the foreground.
type jobTable struct {
	jobs              []*job // by number, from 1; nil where there is none
	current, previous *job   // %+ and %-
}

// add gives a job the next number.
func (t *jobTable) add(j *job) {
	for n := len(t.jobs); n > 0 && t.jobs[n-1] == nil; n-- {
		t.jobs = t.jobs[:n-1]
	}
	t.jobs = append(t.jobs, j)
	j.number = len(t.jobs)
	t.choose(nil)
}

func (t *jobTable) remove(j *job) {
	t.jobs[j.number-1] = nil
	if t.current == j {
		t.current = nil
	}
	if t.previous == j {
		t.previous = nil
	}
	t.choose(nil)
}

// last returns the newest job in a state that is older than before, or any.
func (t *jobTable) last(state jobState, before *job) *job {
	for i := len(t.jobs) - 1; i >= 0; i-- {
		if j := t.jobs[i]; j != nil && j.state() == state && (before == nil || j.number < before.number) {
			return j
		}
	}
	return nil
}

// choose says which job is current and which previous: stopped ones come first,
// then the newest. now is one that has just been stopped, or nil.
func (t *jobTable) choose(now *job) {
	is := func(j *job) bool { return j != nil && j.state() == stopped }
	next := now
	switch {
	case next != nil:
	case is(t.current):
		next = t.current
	case is(t.previous):
		next = t.previous
	default:
		if next = t.last(stopped, nil); next == nil {
			next = t.last(running, nil)
		}
	}
	if next != t.current {
		t.previous, t.current = t.current, next
	}
	if next == nil {
		t.previous = nil
		return
	}
	if t.previous != t.current && is(t.previous) {
		return
	}
	if is(next) {
		if j := t.last(stopped, next); j != nil {
			t.previous = j
			return
		}
	}
	before := next
	if next.state() != running {
		before = nil
	}
	if t.previous = t.last(running, before); t.previous == nil {
		t.previous = next
	}
}

// mark is + for the current job, - for the previous one.
func (t *jobTable) mark(j *job) string {
	switch j {
	case t.current:
		return "+"
	case t.previous:
		return "-"
	}
	return " "
}

// show is a job's line in the table.
func (t *jobTable) show(j *job) string {
	line := fmt.Sprintf("[%d]%s  %-24s%s", j.number, t.mark(j), j.word(), j.text)
	if j.state() == running {
		line += " &"
	}
	return line + "\n"
}

// find returns the job that a word means: %n, %%, %+, %-, %text; nil for none.
func (t *jobTable) find(word string) *job {
	spec := strings.TrimPrefix(word, "%")
	switch spec {
	case "", "%", "+":
		return t.current
	case "-":
		return t.previous
	}
	if n, err := strconv.Atoi(spec); err == nil {
		if n >= 1 && n <= len(t.jobs) {
			return t.jobs[n-1]
		}
		return nil
	}
	for _, j := range t.jobs {
		if j != nil && strings.HasPrefix(j.text, spec) {
			return j
		}
	}
	return nil
}

// note keeps what a wait returned, and says whose it was.
func (t *jobTable) note(r axprocess.WaitResult, also *job) *job {
	for _, j := range append([]*job{also}, t.jobs...) {
		if j == nil {
			continue
		}
		for i := range j.members {
			m := &j.members[i]
			if m.pid != r.PID || m.state == done {
				continue
			}
			m.result = r
			before := j.state()
			switch r.Cause {
			case axprocess.Stopped:
				m.state = stopped
			case axprocess.Continued:
				m.state = running
			default:
				m.state = done
			}
			if j.state() != before {
				j.told = false
			}
			return j
		}
	}
	return nil
}

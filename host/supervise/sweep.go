package supervise

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// This file is about looks at /proc: they find what a follower did not see, and
// are all that there is where nothing else may be had.
//
// Invariants:
//   - a process is its number and its start time: what has another start time is
//     another process;
//   - what a follower will tell of by itself is left to it.

// sweep compares what a scan found with the records, and returns how many
// descendants were not known.
func (k *keeper) sweep(f follower, found map[int]stat, whole bool) int {
	at := k.now()
	for _, r := range k.living() {
		k.compare(f, r, found, at)
	}
	k.settleLiving(f)
	news := 0
	for added := true; added; {
		added = false
		for pid, st := range found {
			if k.adoptable(pid, &st) && !f.follows(pid) {
				delete(found, pid)
				k.adopt(pid, st, f, at)
				added = true
				news++
			}
		}
	}
	if whole {
		k.zombies(f, found)
	}
	return news
}

// adoptable says whether a process is a descendant that has no record.
func (k *keeper) adoptable(pid int, st *stat) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.live[pid]; r != nil && (r.start == 0 || r.start == st.start) {
		return false
	}
	parent := k.live[st.ppid]
	if st.ppid == os.Getpid() && !k.alone || st.ppid != os.Getpid() && (parent == nil || parent.isDead()) {
		return false
	}
	// What has been reaped since the scan has left live, and is no news.
	now, there := readStat(pid)
	return there && now.start == st.start
}

func (k *keeper) adopt(pid int, st stat, f follower, at time.Time) {
	why := "found in /proc"
	k.born(birth{pid: pid, parent: st.ppid, at: started(&st, at), guess: true, unseen: why, stat: &st})
	args := readArgs(pid)
	k.mu.Lock()
	if r := k.live[pid]; r != nil {
		if k.noArgs && len(args) > 1 {
			args = args[:1]
		}
		if len(args) > 0 {
			r.Args = args
		}
	}
	k.mu.Unlock()
	if st.dead() {
		cause, code := outcome(waitStatus(&st))
		k.ended(pid, cause, code, at)
		k.settle()
	}
}

// compare brings one living record up to date.
func (k *keeper) compare(f follower, r *record, found map[int]stat, at time.Time) {
	pid := int(r.PID)
	st, there := found[pid]
	k.mu.Lock()
	same := there && (r.start == 0 || r.start == st.start)
	mine := r.model != nil && r.model.Parent() == k.self
	if same && !r.isDead() {
		k.apply(r, &st)
	}
	k.mu.Unlock()
	if f.follows(pid) {
		return
	}
	if same && !st.dead() {
		k.refresh(r)
	}
	switch {
	case mine: // its end is waited for

	case !same:
		// Whoever is its parent now has waited for it, or it is ours since a
		// moment, and settleLiving gets its status.
		if now, ok := readStat(pid); !ok || now.start != r.start {
			k.ended(pid, 0, 0, at)
			k.mu.Lock()
			if k.live[pid] == r {
				k.freed(r, r.PPID, at, true)
			}
			k.mu.Unlock()
		}
	case st.dead():
		cause, code := outcome(waitStatus(&st))
		k.ended(pid, cause, code, at)
	case st.ppid == os.Getpid():
		k.mu.Lock()
		if p := k.live[int(r.PPID)]; p != nil && !p.isDead() && p.ID != r.ID {
			if now, ok := readStat(int(p.PID)); !ok || now.start != p.start || now.dead() {
				k.end(p, 0, 0, at)
			}
		}
		k.mu.Unlock()
	}
}

// visit finds out whether a process that was found by a look has ended: no event of
// the follower's tells.
func (k *keeper) visit(f follower, r *record) {
	if _, looks := f.(*looker); looks || r.Unseen == "" {
		return
	}
	pid := int(r.PID)
	found := map[int]stat{}
	if st, ok := readStat(pid); ok {
		found[pid] = st
	}
	k.compare(f, r, found, k.now())
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.model != nil && r.model.Parent() == k.self && !r.isDead() && !f.follows(pid) {
		k.settleOne(r)
	}
}

// refresh reads the arguments of a process that has exec'd since the last look.
func (k *keeper) refresh(r *record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if args := readArgs(int(r.PID)); len(args) > 0 && !r.isDead() {
		if k.noArgs {
			args = args[:1]
		}
		r.Args = args
	}
}

// zombies finds out which of those that have ended nobody has waited for.
func (k *keeper) zombies(f follower, found map[int]stat) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for pid, r := range k.live {
		if !r.isDead() || k.toReap[r] {
			continue
		}
		st, there := found[pid]
		switch {
		case there && st.start == r.start && st.dead():
			r.Neglected = true
		case r.start != 0:
			k.freed(r, r.PPID, time.Time{}, true)
		}
	}
}

// waitStatus is a zombie's status from its stat line.
func waitStatus(st *stat) unix.WaitStatus { return unix.WaitStatus(st.exitStatus) }

// look reads the stat lines of all processes, or of none if no descendant can be
// among them: orphans come to us, so as long as there is one we have a child.
func (k *keeper) look() map[int]stat {
	k.settle()
	if childless() && len(k.living()) == 0 {
		return map[int]stat{}
	}
	return scanAll()
}

// childless says whether this process has neither children nor tracees.
func childless() bool {
	var info unix.Siginfo
	return unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) == unix.ECHILD
}

// scanAll reads the stat lines of all processes.
func scanAll() map[int]stat {
	pids := allPIDs()
	found := make(map[int]stat, len(pids))
	for _, pid := range pids {
		if st, ok := readStat(pid); ok {
			found[pid] = st
		}
	}
	return found
}

// scanBelow reads the stat lines of this process's descendants, by the kernel's
// lists of children; what ends meanwhile may hide others (proc_pid_children(5)).
func scanBelow() map[int]stat {
	found := map[int]stat{}
	todo := []int{os.Getpid()}
	for len(todo) > 0 {
		pid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, child := range childrenOf(pid) {
			if _, seen := found[child]; seen {
				continue
			}
			if st, ok := readStat(child); ok {
				found[child] = st
				todo = append(todo, child)
			}
		}
	}
	return found
}

func childrenOf(pid int) []int {
	base := "/proc/" + strconv.Itoa(pid) + "/task"
	dir, err := os.Open(base)
	if err != nil {
		return nil
	}
	defer dir.Close()
	tasks, _ := dir.Readdirnames(-1)
	var children []int
	for _, tid := range tasks {
		text, err := os.ReadFile(base + "/" + tid + "/children")
		if err != nil {
			continue
		}
		for word := range bytes.FieldsSeq(text) {
			if n, err := strconv.Atoi(string(word)); err == nil {
				children = append(children, n)
			}
		}
	}
	return children
}

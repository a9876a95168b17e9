package axprocess

import (
	"errors"
	"slices"
	"syscall"
	"testing"
)

// This file is about the original's own test cases: what the crate axprocess tests
// holds here, under our names.

func refusedAs(t *testing.T, want syscall.Errno, err error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestOriginalChildIsInItsParentsChildren(t *testing.T) {
	_, init, parent, child := family(t)
	if child.Parent() != parent || !slices.Contains(parent.Children(), child) || !slices.Contains(init.Children(), parent) {
		t.Error("a child is not in its parent's children")
	}
}

func TestOriginalExitMakesAZombie(t *testing.T) {
	_, init, parent, child := family(t)
	ok(t, parent.Exit())
	if !parent.IsZombie() || len(parent.Children()) != 0 || child.Parent() != init || !slices.Contains(init.Children(), child) {
		t.Error("exit does not make a zombie and move its children to the init")
	}
}

func TestOriginalFreeOfALiveProcess(t *testing.T) {
	_, _, parent, _ := family(t)
	refusedAs(t, syscall.EBUSY, parent.Free())
}

func TestOriginalExitOfInit(t *testing.T) {
	_, init, _, _ := family(t)
	refusedAs(t, syscall.EPERM, init.Exit())
	refusedAs(t, syscall.EPERM, init.GroupExit(1))
	refusedAs(t, syscall.EPERM, init.GroupKill(SIGKILL, false))
}

func TestOriginalFreeRemovesTheChild(t *testing.T) {
	table, _, parent, child := family(t)
	reap(t, child)
	if len(parent.Children()) != 0 || table.Process(child.PID()) != nil {
		t.Error("a freed child is still there")
	}
	refusedAs(t, syscall.ESRCH, child.Free())
	refusedAs(t, syscall.ESRCH, child.Exit())
}

func TestOriginalOrphansAreFreedAtTheInit(t *testing.T) {
	_, init, parent, child := family(t)
	ok(t, parent.Exit())
	reap(t, child)
	if got := init.Children(); len(got) != 1 || got[0] != parent {
		t.Errorf("the init's children are %v", got)
	}
}

func TestOriginalGroupIsInherited(t *testing.T) {
	_, init, parent, child := family(t)
	if parent.Group() != init.Group() || child.Group() != init.Group() || len(init.Group().Processes()) != 3 {
		t.Error("the group is not inherited")
	}
}

func TestOriginalCreateGroup(t *testing.T) {
	_, init, _, child := family(t)
	g, err := child.CreateGroup()
	ok(t, err)
	if child.Group() != g || g.PGID() != child.PID() || g.Session() != init.Session() || len(init.Group().Processes()) != 2 {
		t.Error("create_group does not move the process to a new group of the session")
	}
	_, err = child.CreateGroup()
	refusedAs(t, syscall.EPERM, err)
}

func TestOriginalGroupEndsWithItsLastMember(t *testing.T) {
	table, init, _, child := family(t)
	g, err := child.CreateGroup()
	ok(t, err)
	if !slices.Contains(init.Session().ProcessGroups(), g) {
		t.Error("the session does not list its group")
	}
	reap(t, child)
	if slices.Contains(init.Session().ProcessGroups(), g) || table.Group(g.PGID()) != nil {
		t.Error("a group without members is listed")
	}
}

func TestOriginalMoveToGroup(t *testing.T) {
	_, init, parent, child := family(t)
	g, err := parent.CreateGroup()
	ok(t, err)
	ok(t, child.MoveToGroup(g))
	if child.Group() != g || slices.Contains(init.Group().Processes(), child) {
		t.Error("the process did not move")
	}
	ok(t, child.MoveToGroup(g)) // where it is: nothing happens
	other := build(t, init.Fork(NextPID))
	_, foreign, err := other.CreateSession()
	ok(t, err)
	refusedAs(t, syscall.EPERM, child.MoveToGroup(foreign))
	refusedAs(t, syscall.EPERM, other.MoveToGroup(g))
	refusedAs(t, syscall.EINVAL, child.MoveToGroup(nil))
}

func TestOriginalMoveBackIntoAnEmptiedGroup(t *testing.T) {
	table, init, _, child := family(t)
	g, err := child.CreateGroup()
	ok(t, err)
	ok(t, child.MoveToGroup(init.Group()))
	if table.Group(g.PGID()) != nil {
		t.Fatal("an empty group is in the table")
	}
	ok(t, child.MoveToGroup(g))
	if child.Group() != g || table.Group(g.PGID()) != g || !slices.Contains(init.Session().ProcessGroups(), g) {
		t.Error("the held group did not begin again")
	}
	// Not when its number is claimed.
	ok(t, child.MoveToGroup(init.Group()))
	again, err := child.CreateGroup()
	ok(t, err)
	ok(t, child.MoveToGroup(again))
	refusedAs(t, syscall.EPERM, build(t, init.Fork(NextPID)).MoveToGroup(g))
}

func TestOriginalCreateSession(t *testing.T) {
	table, init, _, child := family(t)
	v, g, err := child.CreateSession()
	ok(t, err)
	if child.Session() != v || child.Group() != g || v.SID() != child.PID() || g.PGID() != child.PID() || g.Session() != v {
		t.Error("create_session does not make a session and a group of the process's number")
	}
	if slices.Contains(init.Group().Processes(), child) || len(init.Session().ProcessGroups()) != 1 || len(table.Sessions()) != 2 {
		t.Error("the old session's lists did not shrink")
	}
	_, _, err = child.CreateSession()
	refusedAs(t, syscall.EPERM, err)
	_, err = child.CreateGroup()
	refusedAs(t, syscall.EPERM, err)
}

func TestOriginalSessionListsGroupsWhileTheyHaveMembers(t *testing.T) {
	_, _, parent, child := family(t)
	v, first, err := parent.CreateSession()
	ok(t, err)
	grandchild := build(t, parent.Fork(NextPID))
	second, err := grandchild.CreateGroup()
	ok(t, err)
	if got := v.ProcessGroups(); !slices.Equal(got, []*ProcessGroup{first, second}) {
		t.Errorf("the session lists %d groups", len(got))
	}
	reap(t, grandchild)
	if got := v.ProcessGroups(); !slices.Equal(got, []*ProcessGroup{first}) {
		t.Errorf("after its last member the group is listed: %d", len(got))
	}
	_ = child
}

// TestOriginalPanicsAreErrors: a second init, and a claimed number.
func TestOriginalPanicsAreErrors(t *testing.T) {
	table, init, parent, _ := family(t)
	_, err := table.NewInit(50).Build()
	refusedAs(t, syscall.EEXIST, err)
	_, err = init.Fork(parent.PID()).Build()
	refusedAs(t, syscall.EEXIST, err)
	other := NewTable()
	build(t, other.NewInit(1)) // a test can have two
	checked(t, other)
}

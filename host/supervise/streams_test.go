package supervise

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// This file is about standard streams that aren't files.

// slow is a writer that is slower than who writes into the pipe.
type slow struct{ got bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return s.got.Write(p)
}

// ReadFrom takes little at a time, so that much is in the pipe at the end.
func (s *slow) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{r}, make([]byte, 1<<12))
}

// TestHeldPipe: what stays may hold the command's output as long as it likes:
// Wait returns, with all that was written before.
func TestHeldPipe(t *testing.T) {
	const n = 60000
	byEach(t, func(t *testing.T, f Follow) {
		for name, set := range map[string]func(*Cmd){
			"kept": func(c *Cmd) { c.Keep = []*regexp.Regexp{regexp.MustCompile("sleep 1141")} },
			"left": func(c *Cmd) { c.Leaks = Leave },
		} {
			t.Run(name, func(t *testing.T) {
				var out slow
				c := script(f, fmt.Sprintf("sleep 1141 & until grep -q sleep /proc/$!/comm; do :; done; echo begun; head -c %d /dev/zero", n))
				set(c)
				c.Stdout = &out
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				done := make(chan *Report, 1)
				go func() {
					rep, err := c.Wait()
					if err != nil {
						t.Error(err)
					}
					done <- rep
				}()
				var rep *Report
				select {
				case rep = <-done:
				case <-time.After(time.Minute):
					t.Error("Wait hangs")
				}
				for _, r := range c.keeper.living() {
					if r.Command() != "sleep 1141" {
						t.Errorf("still there: %s", r.Command())
					}
					if err := c.keeper.send(r, unix.SIGKILL); err != nil {
						t.Error(err)
					}
				}
				if rep == nil {
					rep = <-done
				}
				if got := out.got.String(); got != "begun\n"+strings.Repeat("\x00", n) || rep.Code != 0 {
					t.Errorf("exit code %d; %d bytes of %d came", rep.Code, len(got), len("begun\n")+n)
				}
			})
		}
	})
}

// TestHeldInput: a reader that feeds the command and never ends doesn't hold Wait
// up.
func TestHeldInput(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	c := script(Auto, "exit 3")
	c.Stdin = in
	if rep := run(t, c); rep.Code != 3 {
		t.Errorf("exit code %d", rep.Code)
	}
}

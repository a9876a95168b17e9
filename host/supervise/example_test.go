package supervise_test

import (
	"fmt"
	"os"
	"strings"

	"axprocess/host/supervise"
)

// A command that leaves a daemon behind: it is ended, and the report names it.
func Example() {
	cmd := supervise.Command("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo built")
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	report, err := cmd.Wait()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range report.Leaks() {
		fmt.Println("left behind:", strings.Contains(p.Command(), "sleep 1000"), "- still there:", p.Alive())
	}
	// Output:
	// built
	// left behind: true - still there: false
}

// Descendants are asked for while the command runs; output may go to any writer.
func ExampleCmd_Descendants() {
	var out strings.Builder
	cmd := supervise.Command("sh", "-c", "read line; echo $line")
	in, feed, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	cmd.Stdin, cmd.Stdout = in, &out
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(cmd.Descendants()), "process, in the table:", cmd.Table().Process(cmd.PID()) != nil)
	fmt.Fprintln(feed, "hello")
	if _, err := cmd.Wait(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(out.String())
	// Output:
	// 1 process, in the table: true
	// hello
}

// Command axp shows process life on Linux: who leads, who is left, who fails to
// wait. A verb a file; root.go puts them together.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

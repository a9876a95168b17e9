// Command coverage prints which rule of docs/semantics.md is shown by which stories
// of conformance/testdata. With -w it writes the table into docs/conformance.md. It
// is run at the module's root.
package main

import (
	"flag"
	"fmt"
	"os"

	"axprocess/conformance"
)

func main() {
	write := flag.Bool("w", false, "write the table into docs/conformance.md")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(2)
	}
}

func run(write bool) error {
	const page = "docs/conformance.md"
	semantics, err := os.ReadFile("docs/semantics.md")
	if err != nil {
		return err
	}
	stories, err := conformance.Stories("conformance/testdata")
	if err != nil {
		return err
	}
	table := conformance.Coverage(string(semantics), stories)
	if !write {
		fmt.Print(table)
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err := conformance.WithCoverage(string(old), table)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

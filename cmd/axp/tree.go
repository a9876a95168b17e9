package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// treeCommand shows the host's processes.
func treeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tree [PID]",
		Short: "The host's processes by session, group, process and thread",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, arg := range args {
				if _, err := parsePID(arg); err != nil {
					return err
				}
			}
			fmt.Fprintln(a.out, "")
			return nil
		},
	}
}

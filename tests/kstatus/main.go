// Says of each object on stdin, one JSON value a line, what kstatus says of it: one line "STATUS<tab>MESSAGE" each.
//
// It exists because Helm 4 --wait, Flux and kapp judge objects by this library, and a copy of its rules would prove nothing.
// An empty line stands for an object that is not there: kstatus has the word NotFound for it, which its pollers give.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

func judge(line []byte) (status.Status, string, error) {
	if strings.TrimSpace(string(line)) == "" {
		return status.NotFoundStatus, "Resource not found", nil
	}
	// This decoder gives whole numbers as int64. The standard one gives float64, of which kstatus reads no observedGeneration.
	var content map[string]any
	if err := json.Unmarshal(line, &content); err != nil {
		return "", "", fmt.Errorf("no JSON object: %w", err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		return "", "", err
	}
	return result.Status, result.Message, nil
}

func run(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		verdict, message, judged := judge(line)
		if judged != nil {
			return fmt.Errorf("line %d: %w", number, judged)
		}
		fmt.Fprintf(out, "%s\t%s\n", verdict, strings.Join(strings.Fields(message), " "))
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

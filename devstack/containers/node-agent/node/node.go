// Package node watches the node that the agent runs on.
package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

	// watchSeconds is how long one watch lasts; the next one starts with the node as it is.
	watchSeconds = "300"
	retryDelay   = time.Second

	// metadataOnly leaves out the status, which is most of a node and changes most often.
	metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
)

// Node is what the agent needs to know of a node.
type Node struct {
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Created     time.Time         `json:"creationTimestamp"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Watcher reports a node each time its metadata changes. It needs no client-go, whose
// caches would take several times the memory of the whole agent.
type Watcher struct {
	Name    string
	BaseURL string
	Token   func() (string, error)
	Client  *http.Client
}

// NewWatcher returns a watcher that uses the service account of the agent's pod.
func NewWatcher(name string) (*Watcher, error) {
	authority, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("the service account has no CA certificate")
	}
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	return &Watcher{
		Name:    name,
		BaseURL: "https://" + net.JoinHostPort(host, port),
		Token:   readToken,
		Client: &http.Client{Transport: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: pool},
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 10 * time.Second,
		}},
	}, nil
}

// readToken reads the token each time: the kubelet replaces it.
func readToken() (string, error) {
	token, err := os.ReadFile(serviceAccount + "token")
	return strings.TrimSpace(string(token)), err
}

// Run calls changed with the node, now and after each change, until the context ends.
func (w *Watcher) Run(ctx context.Context, changed func(Node), report func(error)) {
	for ctx.Err() == nil {
		if err := w.watch(ctx, changed); err != nil && ctx.Err() == nil {
			report(err)
			select {
			case <-ctx.Done():
			case <-time.After(retryDelay):
			}
		}
	}
}

// watch follows the node until the API server ends the watch.
func (w *Watcher) watch(ctx context.Context, changed func(Node)) error {
	response, err := w.open(ctx)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("watch node %s: %s", w.Name, response.Status)
	}
	decoder := json.NewDecoder(bufio.NewReader(response.Body))
	for decoder.More() {
		var event struct {
			Type   string
			Object struct {
				Metadata Node   `json:"metadata"`
				Message  string `json:"message"`
			}
		}
		if err := decoder.Decode(&event); err != nil {
			return fmt.Errorf("watch node %s: %w", w.Name, err)
		}
		switch event.Type {
		case "ADDED", "MODIFIED":
			changed(event.Object.Metadata)
		case "ERROR":
			return fmt.Errorf("watch node %s: %s", w.Name, event.Object.Message)
		}
	}
	return nil
}

func (w *Watcher) open(ctx context.Context) (*http.Response, error) {
	query := url.Values{
		"watch":          {"true"},
		"fieldSelector":  {"metadata.name=" + w.Name},
		"timeoutSeconds": {watchSeconds},
	}
	address := w.BaseURL + "/api/v1/nodes?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	token, err := w.Token()
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", metadataOnly)
	return w.Client.Do(request)
}

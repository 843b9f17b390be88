package imds

import (
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// Address is where instance metadata is served on every EC2 instance.
const Address = "169.254.169.254"

// architecture is EC2's name of this machine's.
var architecture = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]

// Server listens while the node is an EC2 instance. Otherwise connections are refused at
// once: the address is the node's own.
type Server struct {
	address string
	handler *Handler

	lock   sync.Mutex
	server *http.Server
}

// NewServer returns a server for an address with port, which does not listen yet.
func NewServer(address string) *Server {
	return &Server{address: address, handler: NewHandler()}
}

// Update serves an instance; nil for none.
func (s *Server) Update(instance *Instance) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.handler.Set(instance)
	if instance == nil {
		return s.close()
	}
	if s.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp4", s.address)
	if err != nil {
		return err
	}
	s.server = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
	return nil
}

func (s *Server) close() error {
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	if err := server.Close(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

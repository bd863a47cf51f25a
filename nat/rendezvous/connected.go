package rendezvous

// Connected is how many ends are connected. It waits where the server is stuck.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

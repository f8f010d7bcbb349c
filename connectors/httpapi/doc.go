// Package httpapi is leadstream's HTTP side: it answers questions about leads, streams stage changes
// and hand-offs as Server-Sent Events, and serves metrics, health and status.
//
// It shows committed state only: leads come from the engine's committed versions, events from the
// output topics read committed. It keeps no state of its own but a bounded window of recent events, so
// any number of processes may serve the same application.
//
// # Events
//
// One tail reader per process follows the output topics and fills the window; subscribers are served
// from it. One that resumes from before the window gets a reader of its own until it has caught up. The
// id of each event is the position behind it in every partition, so Last-Event-ID resumes exactly.
//
// # Who may ask
//
// On a loopback address nothing is required unless tokens are configured. On any other address tokens
// are required, and Open refuses to start without. See Tokens.
package httpapi

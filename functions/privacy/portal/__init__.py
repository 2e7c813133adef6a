"""The portal: pages for data subjects. Server-rendered, no script needed for the essentials (docs/portal.md)."""

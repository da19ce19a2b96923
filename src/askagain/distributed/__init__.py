"""Several devices: collectives, the Lightning strategy and how processes are launched."""

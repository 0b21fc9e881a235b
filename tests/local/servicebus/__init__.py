"""The local Service Bus: its queues, its wire, and the real SDK against it."""

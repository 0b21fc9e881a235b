"""AMQP 1.0 on a socket, as far as Service Bus clients use it: no transactions, no link resumption, no WebSockets."""

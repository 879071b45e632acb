#pragma once

#include "amqp/method.h"
#include "base/bytes.h"

namespace landfall::admin {

// A method that the broker sends, with its content if it has some.
struct Incoming {
  amqp::MethodId method = 0;
  ByteBuffer payload;
  ByteBuffer properties;  // encoded
  ByteBuffer body;        // or its beginning, if no more was wanted
  uint64_t body_size = 0;

  bool closes() const {
    return method == amqp::ChannelClose::kId || method == amqp::ConnectionClose::kId || method == 0;
  }
  template <class M>
  M As() const {  // of the broker's own bytes; views live as long as this
    return *amqp::Decode<M>(payload);
  }
};

}  // namespace landfall::admin

#pragma once

#include <string>
#include <vector>

#include "amqp/table.h"
#include "base/bytes.h"
#include "base/error.h"

// Sender-selected distribution, RabbitMQ's extension: the headers CC and BCC hold arrays of further
// routing keys. The message is kept as it was published, BCC included, because a dead letter
// follows all of its keys again; receivers never see BCC.
namespace landfall::broker {

// The routing keys of one message. Borrows its own key, owns the others.
class RoutingKeys {
 public:
  explicit RoutingKeys(ByteView own) : own_(own) {}
  // Error: one of the two headers is not an array, in RabbitMQ's words. What is no string in an
  // array does not count.
  static Result<RoutingKeys> Of(ByteView own, amqp::TableView headers) {
    if (headers.empty()) return RoutingKeys(own);
    return Read(own, headers);
  }

  ByteView own() const { return own_; }
  bool has_more() const { return !more_.empty(); }
  template <class Visit>
  void ForEach(Visit&& visit) const {
    visit(own_);
    for (const std::string& key : more_) visit(ByteView(key));
  }

 private:
  static Result<RoutingKeys> Read(ByteView own, amqp::TableView headers);

  ByteView own_;
  std::vector<std::string> more_;
};

// The strings of the CC header.
std::vector<std::string> CcOf(const amqp::Table& headers);
// Takes both headers away: the keys do not hold any longer.
void EraseExtraKeys(amqp::Table& headers);

// Encoded properties as a receiver may see them. The result lives as long as both arguments.
ByteView WithoutBcc(ByteView properties, ByteBuffer& buffer);

}  // namespace landfall::broker

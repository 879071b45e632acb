#include "apps/perf_message.h"

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"

namespace landfall::apps {

PerfPublishTemplate::PerfPublishTemplate(uint16_t channel, std::string_view exchange,
                                         std::string_view routing_key, bool mandatory,
                                         bool persistent, size_t body_size, uint32_t frame_max)
    : stamped_(body_size >= kPerfStampSize), identified_(body_size >= kPerfIdentitySize) {
  ByteBuffer properties;
  amqp::AppendProperties(properties,
                         amqp::PropertiesView{
                             .flags = amqp::kHasDeliveryMode,
                             .delivery_mode = persistent ? amqp::kPersistent : amqp::kTransient,
                         });
  amqp::AppendMethodFrame(
      bytes_, channel,
      amqp::BasicPublish{.exchange = exchange, .routing_key = routing_key, .mandatory = mandatory});
  amqp::AppendContentHeaderFrame(bytes_, channel, amqp::kClassBasic, body_size, properties);
  body_at_ = bytes_.size() + amqp::kFrameHeaderSize;
  // The smallest frame_max has room for stamp and identity, so they are always in the first frame.
  amqp::AppendBodyFrames(bytes_, channel, ByteBuffer(body_size, 'x'), frame_max);
}

}  // namespace landfall::apps

#include "amqp/reply_code.h"

#include <gtest/gtest.h>

namespace landfall::amqp {
namespace {

TEST(ReplyCode, HasTheNamesThatClientsMatchOn) {
  EXPECT_EQ(ReplyName(ReplyCode::kPreconditionFailed), "PRECONDITION_FAILED");
  EXPECT_EQ(ReplyName(ReplyCode::kNoRoute), "NO_ROUTE");
  EXPECT_EQ(ReplyName(ReplyCode::kUnexpectedFrame), "UNEXPECTED_FRAME");
  EXPECT_EQ(ReplyName(static_cast<ReplyCode>(999)), "UNKNOWN");
}

TEST(ReplyCode, ClosesTheConnectionOnlyForHardErrors) {
  for (const ReplyCode hard :
       {ReplyCode::kConnectionForced, ReplyCode::kInvalidPath, ReplyCode::kFrameError,
        ReplyCode::kSyntaxError, ReplyCode::kCommandInvalid, ReplyCode::kChannelError,
        ReplyCode::kUnexpectedFrame, ReplyCode::kResourceError, ReplyCode::kNotAllowed,
        ReplyCode::kNotImplemented, ReplyCode::kInternalError}) {
    EXPECT_TRUE(IsHardError(hard)) << ReplyName(hard);
  }
  for (const ReplyCode soft :
       {ReplyCode::kReplySuccess, ReplyCode::kContentTooLarge, ReplyCode::kNoRoute,
        ReplyCode::kNoConsumers, ReplyCode::kAccessRefused, ReplyCode::kNotFound,
        ReplyCode::kResourceLocked, ReplyCode::kPreconditionFailed}) {
    EXPECT_FALSE(IsHardError(soft)) << ReplyName(soft);
  }
}

}  // namespace
}  // namespace landfall::amqp

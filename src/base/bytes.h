#pragma once

#include <string>
#include <string_view>

namespace landfall {

// Bytes are chars here: std::string is the growable buffer, std::string_view the borrowed one. A
// ByteView never owns; whoever returns one says what must stay alive.
using ByteBuffer = std::string;
using ByteView = std::string_view;

}  // namespace landfall

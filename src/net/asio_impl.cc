// The one translation unit that holds Asio's own code.
#include <boost/asio/impl/src.hpp>

#include "broker/topic_trie.h"

#include "base/assert.h"

namespace landfall::broker {

TopicTrie::Words TopicTrie::Split(ByteView key) {
  Words words;
  if (key.empty()) return words;
  while (true) {
    const size_t dot = key.find('.');
    words.push_back(key.substr(0, dot));
    if (dot == ByteView::npos) return words;
    key.remove_prefix(dot + 1);
  }
}

// The node behind `ref`, safe to change; made if there is none. The load acquires: whoever gave up
// the last other reference has finished reading.
TopicTrie::Node* TopicTrie::Own(NodeRef& ref) {
  if (!ref) {
    ref = NodeRef(new Node);
  } else if (ref->references.load(std::memory_order_acquire) != 1) {
    ref = NodeRef(new Node(*ref));
  }
  return ref.get();
}

TopicTrie::NodeRef& TopicTrie::ChildOf(Node& node, ByteView word) {
  if (word == "*") return node.star;
  if (word == "#") return node.hash;
  return node.words.At(word);
}

void TopicTrie::Add(ByteView pattern, const Binding& binding) {
  Node* node = Own(root_);
  for (const ByteView word : Split(pattern)) node = Own(ChildOf(*node, word));
  node->here.Add(binding);
}

void TopicTrie::Remove(ByteView pattern, const Binding& binding) {
  RemoveFrom(root_, Split(pattern), 0, binding);
}

void TopicTrie::RemoveFrom(NodeRef& ref, const Words& words, size_t depth, const Binding& binding) {
  LANDFALL_ASSERT(ref != nullptr);
  Node* node = Own(ref);
  if (depth == words.size()) {
    node->here.Remove(binding);
  } else {
    const ByteView word = words[depth];
    NodeRef& child = ChildOf(*node, word);
    RemoveFrom(child, words, depth + 1, binding);
    if (!child && word != "*" && word != "#") node->words.Erase(word);
  }
  if (node->empty()) ref.reset();
}

void TopicTrie::Walk::Enter(const Node* node) {
  current.push_back(node);
  // `#` takes no word at all, too; so does a `#` behind it.
  for (const Node* hash = node->hash.get(); hash != nullptr; hash = hash->hash.get()) {
    if (!loops.Insert(hash)) return;
  }
}

void TopicTrie::Walk::Step(ByteView word) {
  const auto from = std::move(current);
  current.clear();
  const size_t loops_before = loops.size();
  // A node has one parent, so no two steps enter the same one.
  auto leave = [&](const Node* node) {
    if (!node->words.empty()) {
      if (const NodeRef* child = node->words.Find(word)) Enter(child->get());
    }
    if (node->star) Enter(node->star.get());
  };
  for (const Node* node : from) leave(node);
  for (size_t i = 0; i < loops_before; ++i) leave(loops[i]);
}

}  // namespace landfall::broker

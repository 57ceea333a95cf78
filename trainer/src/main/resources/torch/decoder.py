class Decoder(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool

  def forward(self: __torch__.Decoder, x: Tensor) -> Tensor:
    return x

  # x / rms(x) * weight, over the last dimension
  def rms_norm(self: __torch__.Decoder, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    square = torch.mean(torch.mul(x, x), [-1], True)
    return torch.mul(torch.mul(x, torch.rsqrt(torch.add(square, eps))), weight)

  # the value q with the gradient of x, which is exact where q - x is: near x, or 0
  def straight(self: __torch__.Decoder, x: Tensor, q: Tensor) -> Tensor:
    return torch.add(x, torch.detach(torch.sub(q, x)))

  # 16-bit codes with a scale per token and group of 128: kernels' GroupedInts, bit for bit
  def int16_groups(self: __torch__.Decoder, x: Tensor) -> Tensor:
    given = torch.detach(x)
    cols = torch.size(given, 1)
    groups = torch.floordiv(torch.add(cols, 127), 128)
    rest = torch.sub(torch.mul(groups, 128), cols)
    if torch.gt(rest, 0):
      given = torch.constant_pad_nd(given, [0, rest], 0.)
    grouped = torch.reshape(given, [torch.size(given, 0), groups, 128])
    most = torch.amax(torch.abs(grouped), [-1], True)
    zero = torch.lt(most, 7.888609052210118e-31)
    divisor = torch.where(zero, torch.ones_like(most), most)
    codes = torch.round(torch.mul(grouped, torch.div(torch.full_like(divisor, 32639.), divisor)))
    scale = torch.where(zero, torch.zeros_like(most), torch.div(most, 32639.))
    rounded = torch.reshape(torch.mul(scale, codes), [torch.size(x, 0), torch.mul(groups, 128)])
    if torch.gt(rest, 0):
      rounded = torch.slice(rounded, 1, 0, cols)
    return (self).straight(x, rounded)

  # the nearest fp16 value
  def half(self: __torch__.Decoder, x: Tensor) -> Tensor:
    return (self).straight(x, torch.to(torch.to(torch.detach(x), 5), 6))

  # 4-bit codes 0..15, asymmetric, a scale and a zero point for each last dimension. With s the
  # scale, u = x / s and r the code less the zero point: dr/du is 1 inside, 0 outside, and x^ = s r
  def int4(self: __torch__.Decoder, x: Tensor, shares: Tensor, halves: bool) -> Tensor:
    high = torch.clamp(torch.amax(x, [-1], True), 0., None)
    low = torch.clamp(torch.amin(x, [-1], True), None, 0.)
    if torch.gt(torch.numel(shares), 0):
      low = torch.mul(low, torch.select(shares, 0, 0))
      high = torch.mul(high, torch.select(shares, 0, 1))
    range = torch.sub(high, low)
    scale = torch.div(range, 15.)
    if halves:
      scale = (self).half(scale)
      small = torch.lt(torch.detach(scale), 7.888609052210118e-31)
    else:
      small = torch.lt(torch.detach(range), 7.888609052210118e-31)
    scale = torch.add(scale, torch.to(small, 6))
    value = torch.detach(scale)
    point = torch.clamp(torch.round(torch.div(torch.neg(torch.detach(low)), value)), 0., 15.)
    u = torch.div(x, scale)
    whole = torch.round(torch.detach(u))
    code = torch.minimum(torch.maximum(whole, torch.neg(point)), torch.rsub(point, 15.))
    passed = torch.mul(u, torch.to(torch.eq(whole, code), 6))
    return torch.mul(torch.add(code, torch.sub(passed, torch.detach(passed))), scale)

  # each row x becomes left^T mat(x) right; an empty factor is the identity
  def kronecker(self: __torch__.Decoder, x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    rows = torch.size(x, 0)
    width = torch.size(x, 1)
    y = x
    if torch.gt(torch.numel(left), 0):
      m = torch.size(left, 0)
      n = torch.floordiv(width, m)
      y = torch.reshape(torch.matmul(torch.t(left), torch.reshape(y, [rows, m, n])), [rows, width])
    if torch.gt(torch.numel(right), 0):
      n = torch.size(right, 0)
      y = torch.reshape(torch.matmul(torch.reshape(y, [-1, n]), right), [rows, width])
    return y

  # what linears read of x, in the precision that they compute in
  def input(self: __torch__.Decoder, x: Tensor, bits: int, left: Tensor, right: Tensor, shares: Tensor) -> Tensor:
    if torch.eq(bits, 16):
      y = (self).int16_groups(x)
    else:
      if torch.eq(bits, 4):
        y = (self).int4((self).kronecker(x, left, right), shares, False)
      else:
        y = x
    return y

  def linear(self: __torch__.Decoder, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = torch.matmul(x, torch.t(weight))
    if torch.gt(torch.numel(bias), 0):
      y = torch.add(y, bias)
    return y

  # [N, heads * D] of packed sequences as [B, heads, T, D] of padded ones
  def heads(self: __torch__.Decoder, x: Tensor, count: int, batch: int, padded: Tensor) -> Tensor:
    y = x
    if torch.gt(torch.numel(padded), 0):
      y = torch.index_select(y, 0, padded)
    length = torch.floordiv(torch.size(y, 0), batch)
    return torch.transpose(torch.reshape(y, [batch, length, count, -1]), 1, 2)

  # normalized where there is a norm, and turned by its position
  def turned(self: __torch__.Decoder, x: Tensor, norm: Tensor, eps: float, cos: Tensor, sin: Tensor) -> Tensor:
    y = x
    if torch.gt(torch.numel(norm), 0):
      y = (self).rms_norm(y, norm, eps)
    half = torch.floordiv(torch.size(y, -1), 2)
    low = torch.slice(y, -1, 0, half)
    high = torch.slice(y, -1, half)
    return torch.add(torch.mul(y, cos), torch.mul(torch.cat([torch.neg(high), low], -1), sin))

  # K or V as the cache keeps it
  def cached(self: __torch__.Decoder, x: Tensor, bits: Tensor, shares: Tensor) -> Tensor:
    if torch.eq(int(bits), 16):
      y = (self).half(x)
    else:
      if torch.eq(int(bits), 4):
        y = (self).int4(x, shares, True)
      else:
        y = x
    return y

  def shared(self: __torch__.Decoder, x: Tensor, queries: int) -> Tensor:
    batch, heads, length, width = torch.size(x, 0), torch.size(x, 1), torch.size(x, 2), torch.size(x, 3)
    wide = torch.expand(torch.unsqueeze(x, 2), [batch, heads, queries, length, width])
    return torch.reshape(wide, [batch, torch.mul(heads, queries), length, width])

  # One decoder layer over N tokens of B sequences, packed without padding: x [N, hidden].
  # shape: B, heads, KV heads, bits of inputs (32, 16, 4), bits of the cache (32, 16, 4).
  # padded: which token stands at [b, t], or nothing where all are of one length; packed: back.
  def layer(self: __torch__.Decoder, x: Tensor, shape: Tensor, eps: Tensor, cos: Tensor, sin: Tensor,
    padded: Tensor, packed: Tensor, input_norm: Tensor, q_norm: Tensor, k_norm: Tensor, post_norm: Tensor,
    q_weight: Tensor, k_weight: Tensor, v_weight: Tensor, o_weight: Tensor,
    gate_weight: Tensor, up_weight: Tensor, down_weight: Tensor,
    q_bias: Tensor, k_bias: Tensor, v_bias: Tensor,
    qkv_left: Tensor, qkv_right: Tensor, qkv_shares: Tensor,
    o_left: Tensor, o_right: Tensor, o_shares: Tensor,
    mlp_left: Tensor, mlp_right: Tensor, mlp_shares: Tensor,
    down_left: Tensor, down_right: Tensor, down_shares: Tensor,
    k_transform: Tensor, q_transform: Tensor, k_shares: Tensor, v_shares: Tensor) -> Tensor:
    batch = int(torch.select(shape, 0, 0))
    count = int(torch.select(shape, 0, 1))
    kv_count = int(torch.select(shape, 0, 2))
    bits = int(torch.select(shape, 0, 3))
    kv_bits = torch.select(shape, 0, 4)
    e = float(eps)
    none = torch.slice(eps, 0, 0, 0)
    a = (self).input((self).rms_norm(x, input_norm, e), bits, qkv_left, qkv_right, qkv_shares)
    q = (self).turned((self).heads((self).linear(a, q_weight, q_bias), count, batch, padded), q_norm, e, cos, sin)
    k = (self).turned((self).heads((self).linear(a, k_weight, k_bias), kv_count, batch, padded), k_norm, e, cos, sin)
    v = (self).heads((self).linear(a, v_weight, v_bias), kv_count, batch, padded)
    if torch.gt(torch.numel(k_transform), 0):
      k = torch.matmul(k, k_transform)
      q = torch.matmul(q, q_transform)
    k = (self).shared((self).cached(k, kv_bits, k_shares), torch.floordiv(count, kv_count))
    v = (self).shared((self).cached(v, kv_bits, v_shares), torch.floordiv(count, kv_count))
    mixed = torch.scaled_dot_product_attention(q, k, v, None, 0., True)
    mixed = torch.reshape(torch.transpose(mixed, 1, 2), [-1, torch.size(o_weight, 1)])
    if torch.gt(torch.numel(packed), 0):
      mixed = torch.index_select(mixed, 0, packed)
    o = (self).linear((self).input(mixed, bits, o_left, o_right, o_shares), o_weight, none)
    y = torch.add(x, o)
    m = (self).input((self).rms_norm(y, post_norm, e), bits, mlp_left, mlp_right, mlp_shares)
    gated = torch.mul(torch.silu((self).linear(m, gate_weight, none)), (self).linear(m, up_weight, none))
    down = (self).input(gated, bits, down_left, down_right, down_shares)
    return torch.add(y, (self).linear(down, down_weight, none))

  # the final norm of the rows that predict something
  def predicting(self: __torch__.Decoder, x: Tensor, eps: Tensor, rows: Tensor, norm: Tensor) -> Tensor:
    return (self).rms_norm(torch.index_select(x, 0, rows), norm, float(eps))

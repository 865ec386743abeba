/* Calling kinds.  A kind is three columns: the C parameters of peri_NAME, how they fill a peri_call,
   and the signature a binding reads.

   Signature: "name:type" separated by blanks, "=value" for a default, "?" for may be absent.
     t   real tensor, or a number standing for a tensor of shape (), which its default is
     i   index tensor          u  tensor of any dtype
     a   axis, 1-based in Lua, negative from the end      A  list of axes
     s   shape                 n  integer
     b   first and e last position along the axis: 1-based, included, negative from the end in Lua
     f   number                k  boolean; a second one of a row goes where integers go
     m   one of the words after "=", set apart by "|"; the first is the default
     w   a window: an options table {size, stride, dilation, padding, output_padding, groups}
     W   the same, with a stride that is the size unless it is given
     l   list of real tensors */
#ifndef PERIGEE_KINDS_H
#define PERIGEE_KINDS_H

#define PERI__IN1 .nin = 1, .in = (peri_tensor *[]) {x}
#define PERI__IN2 .nin = 2, .in = (peri_tensor *[]) {x, y}
#define PERI__IN3 .nin = 3, .in = (peri_tensor *[]) {x, y, z}

#define PERI_UNARY   (peri_tensor *x), (PERI__IN1), "x:t"
#define PERI_BINARY  (peri_tensor *x, peri_tensor *y), (PERI__IN2), "x:t y:t"
#define PERI_TERNARY (peri_tensor *x, peri_tensor *y, peri_tensor *z), (PERI__IN3), "x:t y:t z:t"
#define PERI_AFFINE  (peri_tensor *x, peri_tensor *y, peri_tensor *z), (PERI__IN3), "x:t w:t b:t=0"
#define PERI_DENSE   (peri_tensor *x, peri_tensor *y, peri_tensor *z, int mode, double f), \
                     (PERI__IN3, .a.mode = mode, .a.f = {f}), \
                     "x:t w:t b:t=0 activation:m=relu|leaky_relu|tanh|sigmoid slope:f=0.01"
#define PERI_SLOPED  (peri_tensor *x, peri_tensor *y, double f), (PERI__IN2, .a.f = {f}), \
                     "x:t y:t slope:f=0.01"
#define PERI_SOLVE   (peri_tensor *x, peri_tensor *y), (PERI__IN2), "a:t b:t"
#define PERI_TRIANGULAR (peri_tensor *x, peri_tensor *y, bool lower, bool transpose), \
                     (PERI__IN2, .a.keep = lower, .a.i = {transpose}), \
                     "a:t b:t lower:k=true transpose:k=false"
#define PERI_SELECT  (peri_tensor *x, peri_tensor *y, peri_tensor *z), (PERI__IN3), "condition:u x:t y:t"
#define PERI_SLOPE   (peri_tensor *x, double f), (PERI__IN1, .a.f = {f}), "x:t slope:f=0.01"
#define PERI_SCALED  (peri_tensor *x, double f), (PERI__IN1, .a.f = {f}), "x:t scale:f=1"
#define PERI_ORDER   (peri_tensor *x, int64_t order), (PERI__IN1, .a.i = {order}), "x:t order:n=1"
#define PERI_BOUNDS  (peri_tensor *x, double low, double high), \
                     (PERI__IN1, .a.f = {low, high}), "x:t low:f=-inf high:f=inf"
#define PERI_REDUCE  (peri_tensor *x, peri_dims axes, bool keep), \
                     (PERI__IN1, .a.dims = axes, .a.keep = keep), "x:t axes:A? keep:k=false"
#define PERI_AXIS    (peri_tensor *x, int axis), (PERI__IN1, .a.axis = axis), "x:t axis:a=-1"
#define PERI_VARIANCE (peri_tensor *x, peri_dims axes, bool keep, double correction), \
                     (PERI__IN1, .a.dims = axes, .a.keep = keep, .a.f = {correction}), \
                     "x:t axes:A? keep:k=false correction:f=0"
#define PERI_TEST    (peri_tensor *x, peri_dims axes, bool keep), \
                     (PERI__IN1, .a.dims = axes, .a.keep = keep), "x:u axes:A? keep:k=false"
#define PERI_ALONG2  (peri_tensor *x, peri_tensor *y, int axis), \
                     (PERI__IN2, .a.axis = axis), "g:t y:t axis:a=-1"
#define PERI_ENTROPY (peri_tensor *x, peri_tensor *y, int axis, double f), \
                     (PERI__IN2, .a.axis = axis, .a.f = {f}), "x:t index:i axis:a=-1 smoothing:f=0"
#define PERI_ENTROPY2 (peri_tensor *x, peri_tensor *y, peri_tensor *z, int axis, double f), \
                     (PERI__IN3, .a.axis = axis, .a.f = {f}), \
                     "x:t index:i g:t axis:a=-1 smoothing:f=0"
#define PERI_SCAN    (peri_tensor *x, peri_tensor *y, int axis, bool reverse), \
                     (PERI__IN2, .a.axis = axis, .a.keep = reverse), "x:t a:t axis:a=-1 reverse:k=false"
#define PERI_SHAPE   (peri_tensor *x, peri_dims shape), (PERI__IN1, .a.dims = shape), "x:u shape:s"
#define PERI_AXES    (peri_tensor *x, peri_dims axes), (PERI__IN1, .a.dims = axes), "x:u axes:A"
#define PERI_TWOAXES (peri_tensor *x, int axis, int other), \
                     (PERI__IN1, .a.axis = axis, .a.other = other), "x:u axis:a=-2 other:a=-1"
/* In C start is 0-based and stop excluded; both count from the end when negative, and a stop of PERI_END
   is the size. */
#define PERI_END     INT64_MAX
#define PERI_RANGE   (peri_tensor *x, int axis, int64_t start, int64_t stop, int64_t step), \
                     (PERI__IN1, .a.axis = axis, .a.i = {start, stop, step}), \
                     "x:u axis:a start:b stop:e=-1 step:n=1"
#define PERI_INSERT  (peri_tensor *x, int axis, int64_t start, int64_t step, int64_t size), \
                     (PERI__IN1, .a.axis = axis, .a.i = {start, step, size}), \
                     "x:t axis:a start:b step:n size:n"
#define PERI_LIST    (int n, peri_tensor *const *list, int axis), \
                     (.nin = n, .in = list, .a.axis = axis), "list:l axis:a=1"
#define PERI_PICK    (peri_tensor *x, peri_tensor *y, int axis), \
                     (PERI__IN2, .a.axis = axis), "x:u index:i axis:a=1"
#define PERI_PLACE   (peri_tensor *x, peri_tensor *y, int axis, int64_t size), \
                     (PERI__IN2, .a.axis = axis, .a.i = {size}), "x:t index:i axis:a size:n"
#define PERI_ROLL    (peri_tensor *x, int64_t shift, int axis), \
                     (PERI__IN1, .a.axis = axis, .a.i = {shift}), "x:u shift:n axis:a"
#define PERI_TILE    (peri_tensor *x, peri_dims counts), (PERI__IN1, .a.dims = counts), "x:u counts:s"
#define PERI_DIAGONAL (peri_tensor *x, int64_t k), (PERI__IN1, .a.i = {k}), "x:u k:n=0"
#define PERI_BLOCKS  (peri_tensor *x, int64_t block), (PERI__IN1, .a.i = {block}), "x:u block:n"
#define PERI_SORT    (peri_tensor *x, int axis, bool descending), \
                     (PERI__IN1, .a.axis = axis, .a.keep = descending), \
                     "x:t axis:a=-1 descending:k=false"
#define PERI_TOPK    (peri_tensor *x, int64_t k, int axis, bool largest), \
                     (PERI__IN1, .a.axis = axis, .a.i = {k}, .a.keep = largest), \
                     "x:t k:n axis:a=-1 largest:k=true"
#define PERI_SEARCH  (peri_tensor *x, peri_tensor *y), (PERI__IN2), "edges:t x:t"
#define PERI_PADDING (peri_tensor *x, int axis, int64_t before, int64_t after, int mode), \
                     (PERI__IN1, .a.axis = axis, .a.i = {before, after}, .a.mode = mode), \
                     "x:u axis:a before:n after:n mode:m=zero|reflect|replicate|circular"
#define PERI_UNPADDING (peri_tensor *x, int axis, int64_t before, int64_t after, int mode), \
                     (PERI__IN1, .a.axis = axis, .a.i = {before, after}, .a.mode = mode), \
                     "x:t axis:a before:n after:n mode:m=zero|reflect|replicate|circular"
#define PERI_POOL    (peri_tensor *x, peri_window window), \
                     (PERI__IN1, .a.window = window), "x:t window:W"
#define PERI_UNPOOL  (peri_tensor *x, peri_dims sizes, peri_window window), \
                     (PERI__IN1, .a.dims = sizes, .a.window = window), "x:t sizes:s window:W"
#define PERI_SIZES   (peri_tensor *x, peri_dims sizes), (PERI__IN1, .a.dims = sizes), "x:t sizes:s"
#define PERI_RESIZE  (peri_tensor *x, peri_dims sizes, int mode), \
                     (PERI__IN1, .a.dims = sizes, .a.mode = mode), \
                     "x:t sizes:s mode:m=nearest|bilinear|bicubic|area"
#define PERI_GRID    (peri_tensor *x, peri_tensor *y, int mode), \
                     (PERI__IN2, .a.mode = mode), "x:t grid:t outside:m=zero|border"
#define PERI_UNGRID  (peri_tensor *x, peri_tensor *y, peri_dims sizes, int mode), \
                     (PERI__IN2, .a.dims = sizes, .a.mode = mode), \
                     "x:t grid:t sizes:s outside:m=zero|border"
#define PERI_ATTEND  (peri_tensor *q, peri_tensor *k, peri_tensor *v, peri_tensor *mask, \
                      bool causal, double f), \
                     (.nin = 4, .in = (peri_tensor *[]) {q, k, v, mask}, .a.keep = causal, \
                      .a.f = {f}), \
                     "q:t k:t v:t mask:u=0 causal:k=false scale:f=0"
#define PERI_ATTENDGRAD (peri_tensor *q, peri_tensor *k, peri_tensor *v, peri_tensor *mask, \
                         peri_tensor *g, bool causal, double f), \
                     (.nin = 5, .in = (peri_tensor *[]) {q, k, v, mask, g}, .a.keep = causal, \
                      .a.f = {f}), "q:t k:t v:t mask:u g:t causal:k=false scale:f=0"
#define PERI_LSTM    (peri_tensor *x, peri_tensor *h, peri_tensor *c, peri_tensor *wx, \
                      peri_tensor *wh, peri_tensor *b), \
                     (.nin = 6, .in = (peri_tensor *[]) {x, h, c, wx, wh, b}), \
                     "x:t h:t c:t wx:t wh:t b:t"
#define PERI_GRU     (peri_tensor *x, peri_tensor *h, peri_tensor *wx, peri_tensor *wh, \
                      peri_tensor *b, peri_tensor *bh), \
                     (.nin = 6, .in = (peri_tensor *[]) {x, h, wx, wh, b, bh}), \
                     "x:t h:t wx:t wh:t b:t bh:t"
#define PERI_CLASSES (peri_tensor *x, int64_t size), (PERI__IN1, .a.i = {size}), "index:i classes:n"
#define PERI_CONVOLVE (peri_tensor *x, peri_tensor *w, peri_tensor *b, peri_window window), \
                     (.nin = 3, .in = (peri_tensor *[]) {x, w, b}, .a.window = window), \
                     "x:t w:t b:t=0 window:w?"
#define PERI_CORRELATE (peri_tensor *x, peri_tensor *g, peri_window window), \
                     (.nin = 2, .in = (peri_tensor *[]) {x, g}, .a.window = window), \
                     "x:t g:t window:w?"

/* normalisation: numbers eps and groups behind one weight and one bias a channel */
#define PERI_NORM    (peri_tensor *x, peri_tensor *y, peri_tensor *z, double eps), \
                     (PERI__IN3, .a.f = {eps}), "x:t w:t=1 b:t=0 eps:f=1e-5"
#define PERI_RMSNORM (peri_tensor *x, peri_tensor *y, double eps), \
                     (PERI__IN2, .a.f = {eps}), "x:t w:t=1 eps:f=1e-5"
#define PERI_GROUPED (peri_tensor *x, peri_tensor *y, peri_tensor *z, int64_t groups, double eps), \
                     (PERI__IN3, .a.i = {groups}, .a.f = {eps}), \
                     "x:t w:t=1 b:t=0 groups:n eps:f=1e-5"
#define PERI_NORMGRAD (peri_tensor *x, peri_tensor *y, peri_tensor *z, int mode, int64_t groups, \
                      double eps), \
                     (PERI__IN3, .a.mode = mode, .a.i = {groups}, .a.f = {eps}), \
                     "g:t x:t w:t=1 over:m=layer|rms|group|batch groups:n=1 eps:f=1e-5"

/* autoregressive estimators and Gibbs steps */
#define PERI__IN4 .nin = 4, .in = (peri_tensor *[]) {x, y, z, u}
#define PERI__IN5 .nin = 5, .in = (peri_tensor *[]) {x, y, z, u, v}
#define PERI_NADE    (peri_tensor *x, peri_tensor *y, peri_tensor *z, peri_tensor *u, peri_tensor *v), \
                     (PERI__IN5), "x:t w:t b:t v:t c:t"
#define PERI_NADEGRAD (peri_tensor *x, peri_tensor *y, peri_tensor *z, peri_tensor *u, \
                      peri_tensor *v, bool by_x), \
                     (PERI__IN5, .a.keep = by_x), "g:t x:t w:t v:t c:t by_x:k=true"
#define PERI_GIBBS   (peri_tensor *x, peri_tensor *y, peri_tensor *z, peri_tensor *u), (PERI__IN4), \
                     "x:t w:t b:t u:t"

#endif

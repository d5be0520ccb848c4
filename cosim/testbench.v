// Surroundings of one attention head: clock, stream ends, recorders of its pins, and sources that
// replay the pulses which the analog model computed. The model writes `phi_*` when `score` falls
// and `out_*` when `activate` falls; everything between happens here, in simulated time.
//
// Two kinds of pulse source, by EXACT:
//   0  all lanes in words, on clock edges: a phi pulse lasts its width rounded up to cycles, an
//      output pulse covers as many counting edges as the counting rule gives it;
//   1  each lane on its own, at the exact picosecond (slow; for small geometries).

`timescale 1ps / 1ps

module testbench #(
    parameter integer T_CLK = 0,
    parameter integer DIM = 0,
    parameter integer WINDOW = 0,
    parameter integer OUTPUTS = 0,
    parameter integer TOKEN_BITS = 0,
    parameter integer RESULT_BITS = 0,
    parameter integer LENGTH_BITS = 0,
    parameter integer SLOT_BITS = 0,
    parameter integer CODE_BITS = 0,
    parameter integer SCORE_CYCLES = 0,
    parameter integer WIDTH_BITS = 0,
    parameter integer EXACT = 0
);
  reg clk = 0;
  reg rst = 1;
  always #(T_CLK / 2) clk = ~clk;

  // ---- token source: `token_valid` is set from outside and falls when the token is accepted
  reg token_valid = 0;
  reg [TOKEN_BITS-1:0] token_payload = 0;
  reg [LENGTH_BITS-1:0] window_length = 0;
  wire token_ready;
  always @(posedge clk) if (token_valid && token_ready) token_valid <= 0;

  // ---- result sink: `result_ready` is set from outside
  reg result_ready = 0;
  wire result_valid;
  wire [RESULT_BITS-1:0] result_payload;

  // ---- pins of the head
  wire [CODE_BITS-1:0] write_code;
  wire [SLOT_BITS-1:0] write_slot;
  wire strobe_k, strobe_v, reset, score, activate, convert;
  wire [DIM-1:0] q_pulse;
  wire [WINDOW-1:0] phi, row;
  wire [OUTPUTS-1:0] out_pulse;
  reg [OUTPUTS-1:0] out_negative = 0;

  attention_head head (
      .clk(clk),
      .rst(rst),
      .token__valid(token_valid),
      .token__ready(token_ready),
      .token__payload(token_payload),
      .result__valid(result_valid),
      .result__ready(result_ready),
      .result__payload(result_payload),
      .window_length(window_length),
      .write__code(write_code),
      .write__slot(write_slot),
      .write__strobe_k(strobe_k),
      .write__strobe_v(strobe_v),
      .q_pulse(q_pulse),
      .reset(reset),
      .score(score),
      .activate(activate),
      .convert(convert),
      .phi(phi),
      .row(row),
      .out_pulse(out_pulse),
      .out_negative(out_negative)
  );

  // ---- recorders, in mid-cycle: the word lines in each cycle of `score`, cycle 0 in the top bits,
  //      and for how many cycles `activate` was high
  reg [DIM*SCORE_CYCLES-1:0] q_levels = 0;
  integer activate_cycles = 0;
  reg discharged = 0;  // `reset` was high since the last `activate`
  always @(negedge clk) begin
    if (reset) begin
      discharged <= 1;
      q_levels <= 0;
    end
    if (activate) discharged <= 0;
    if (score) begin
      q_levels <= {q_levels, q_pulse};
      activate_cycles <= 0;
    end
    if (activate) activate_cycles <= activate_cycles + 1;
  end

  // ---- analog quantities, shown in the waveform: one V cell (V), one K column's integrator
  //      (charge), the activation pulse of one slot
  real v_stored = 0;
  real integrator_charge = 0;
  real phi_width_ps = 0;

  generate
    if (EXACT == 0) begin : replay
      // Bit planes of the widths in cycles: bit b of lane i is phi_cycles[b * WINDOW + i].
      reg [WIDTH_BITS*WINDOW-1:0] phi_cycles = 0;
      reg [WIDTH_BITS*OUTPUTS-1:0] out_cycles = 0;
      word_pulses #(WINDOW, WIDTH_BITS) phi_source (clk, activate, phi_cycles, phi);
      word_pulses #(OUTPUTS, WIDTH_BITS) out_source (clk, convert, out_cycles, out_pulse);

      // What the gates did to the pulses of one phase: lanes that passed and lanes that were cut.
      reg [WINDOW-1:0] row_seen = 0;
      reg [WINDOW-1:0] phi_lost = 0;
      always @(negedge clk) begin
        if (activate) begin
          row_seen <= row_seen | row;
          phi_lost <= phi_lost | (phi & ~row);
        end else if (score) begin
          row_seen <= 0;
          phi_lost <= 0;
        end
      end
    end else begin : exact
      genvar i;
      reg start = 0;  // set from outside when the widths are written, at the time `activate` rises
      for (i = 0; i < WINDOW; i = i + 1) begin : phi_lane
        integer width_ps = 0;
        integer row_width_ps = 0;
        integer rise_ps = 0;
        reg pulse = 0;
        always @(posedge start) begin
          row_width_ps = 0;
          if (width_ps > 0) begin
            pulse = 1;
            pulse <= #(width_ps) 0;
          end
        end
        assign phi[i] = pulse;
        always @(posedge row[i]) rise_ps = $time;
        always @(negedge row[i]) row_width_ps = $time - rise_ps;
      end
      always @(negedge activate) start = 0;
      for (i = 0; i < OUTPUTS; i = i + 1) begin : out_lane
        integer width_ps = 0;
        reg pulse = 0;
        always @(posedge convert) if (width_ps > 0) begin
          pulse <= #(T_CLK / 2) 1;
          // Falls after the flip-flops of the same instant have sampled: an edge at the very end
          // of a pulse counts it.
          pulse <= #(T_CLK / 2 + width_ps) 0;
        end
        assign out_pulse[i] = pulse;
      end
    end
  endgenerate
endmodule

// Pulses of a whole number of cycles on many lanes: they rise together with `run`, and each falls
// when the cycle counter meets its width.
module word_pulses #(
    parameter integer LANES = 0,
    parameter integer BITS = 0
) (
    input wire clk,
    input wire run,
    input wire [BITS*LANES-1:0] cycles,
    output wire [LANES-1:0] pulse
);
  reg [BITS-1:0] step = 0;
  reg [LANES-1:0] unfinished = 0;
  reg [LANES-1:0] longer;
  integer b;
  always @* begin
    longer = {LANES{1'b0}};
    for (b = 0; b < BITS; b = b + 1)
      longer = longer | (step[b] ? ~cycles[b*LANES+:LANES] : cycles[b*LANES+:LANES]);
    longer = longer & (step == 0 ? {LANES{1'b1}} : unfinished);
  end
  always @(posedge clk) begin
    step <= !run ? 0 : &step ? step : step + 1;
    unfinished <= longer;
  end
  assign pulse = run ? longer : {LANES{1'b0}};
endmodule

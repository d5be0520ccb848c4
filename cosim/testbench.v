// Surroundings of one attention head: clock, stream ends, recorders of its pins, and sources that
// replay the pulses which the analog model computed. The model writes `phi_*` when `score` falls
// and `out_*` when `activate` falls, for the capacitor that was used; everything between happens
// here, in simulated time.
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
    parameter integer SCHEDULE_BITS = 0,
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
  reg [SCHEDULE_BITS-1:0] schedule = 0;
  wire [CODE_BITS-1:0] write_code;
  wire [SLOT_BITS-1:0] write_slot;
  wire strobe_k, strobe_v, reset_k, reset_v, score, activate, convert;
  wire score_bank, activate_bank, convert_bank;
  wire [DIM-1:0] q_pulse;
  wire [WINDOW-1:0] phi, row;
  wire [OUTPUTS-1:0] out_pulse;

  attention_head head (
      .clk(clk),
      .rst(rst),
      .token__valid(token_valid),
      .token__ready(token_ready),
      .token__payload(token_payload),
      .result__valid(result_valid),
      .result__ready(result_ready),
      .result__payload(result_payload),
      .schedule(schedule),
      .window_length(window_length),
      .pins__write__code(write_code),
      .pins__write__slot(write_slot),
      .pins__write__strobe_k(strobe_k),
      .pins__write__strobe_v(strobe_v),
      .pins__q_pulse(q_pulse),
      .control__reset_k(reset_k),
      .control__reset_v(reset_v),
      .control__score(score),
      .control__activate(activate),
      .control__convert(convert),
      .control__score_bank(score_bank),
      .control__activate_bank(activate_bank),
      .control__convert_bank(convert_bank),
      .pins__phi(phi),
      .pins__row(row),
      .pins__out_pulse(out_pulse),
      .pins__out_negative(out_negative[convert_bank])
  );

  // Signs of the charge on the two V capacitors of each column.
  reg [OUTPUTS-1:0] out_negative[0:1];
  initial begin
    out_negative[0] = 0;
    out_negative[1] = 0;
  end

  // ---- recorders, in mid-cycle: the word lines in each cycle of `score`, the last one in the
  //      lowest bits; for how many cycles `activate` was high; the capacitors that were used, and
  //      whether each had been discharged since its last use
  reg [DIM*SCORE_CYCLES-1:0] q_levels = 0;
  integer activate_cycles = 0;
  reg scored = 0, activated = 0;  // in the cycle before
  reg scored_bank = 0, activated_bank = 0;
  reg score_clean = 0, activate_clean = 0;
  reg [1:0] k_empty = 0, v_empty = 0;
  always @(negedge clk) begin
    scored <= score;
    activated <= activate;
    if (reset_k) k_empty[score_bank] <= 1;
    if (reset_v) v_empty[activate_bank] <= 1;
    if (score) begin
      q_levels <= scored ? {q_levels, q_pulse} : q_pulse;
      scored_bank <= score_bank;
      k_empty[score_bank] <= 0;
      if (!scored) score_clean <= k_empty[score_bank];
    end
    if (activate) begin
      activate_cycles <= activated ? activate_cycles + 1 : 1;
      activated_bank <= activate_bank;
      v_empty[activate_bank] <= 0;
      if (!activated) activate_clean <= v_empty[activate_bank];
    end
  end

  // ---- analog quantities, shown in the waveform: one V cell (V), one K column's integrator
  //      (charge), the activation pulse of one slot
  real v_stored = 0;
  real integrator_charge = 0;
  real phi_width_ps = 0;

  generate
    if (EXACT == 0) begin : replay
      // Of the two capacitors of each column, bit planes of the widths in cycles: bit b of lane i
      // is phi_cycles[bank][b * WINDOW + i].
      reg [WIDTH_BITS*WINDOW-1:0] phi_cycles[0:1];
      reg [WIDTH_BITS*OUTPUTS-1:0] out_cycles[0:1];
      word_pulses #(WINDOW, WIDTH_BITS) phi_source (clk, activate, phi_cycles[activate_bank], phi);
      word_pulses #(OUTPUTS, WIDTH_BITS) out_source (
          clk, convert, out_cycles[convert_bank], out_pulse);

      // What the gates did to the pulses of one phase: lanes that passed and lanes that were cut.
      reg [WINDOW-1:0] row_seen = 0;
      reg [WINDOW-1:0] phi_lost = 0;
      always @(negedge clk)
        if (activate) begin
          row_seen <= activated ? row_seen | row : row;
          phi_lost <= activated ? phi_lost | (phi & ~row) : phi & ~row;
        end
    end else begin : exact
      genvar i;
      reg [1:0] charged = 0;  // set from outside when the widths of a capacitor are written
      wire start = activate && charged[activate_bank];
      for (i = 0; i < WINDOW; i = i + 1) begin : phi_lane
        integer width_ps[0:1];
        integer row_width_ps = 0;
        integer rise_ps = 0;
        reg pulse = 0;
        always @(posedge start) begin
          row_width_ps = 0;
          if (width_ps[activate_bank] > 0) begin
            pulse = 1;
            pulse <= #(width_ps[activate_bank]) 0;
          end
        end
        assign phi[i] = pulse;
        always @(posedge row[i]) rise_ps = $time;
        always @(negedge row[i]) row_width_ps = $time - rise_ps;
      end
      always @(negedge activate) charged[activated_bank] = 0;
      for (i = 0; i < OUTPUTS; i = i + 1) begin : out_lane
        integer width_ps[0:1];
        reg pulse = 0;
        always @(posedge convert) if (width_ps[convert_bank] > 0) begin
          pulse <= #(T_CLK / 2) 1;
          // Falls after the flip-flops of the same instant have sampled: an edge at the very end
          // of a pulse counts it.
          pulse <= #(T_CLK / 2 + width_ps[convert_bank]) 0;
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

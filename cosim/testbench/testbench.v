// Surroundings of one attention head: clock, stream ends, watchdog. Tokens and results travel in
// files; each time that `job` is counted up from outside, the files of another job are there, which
// goes on where the one before ended. What is on the other side of the pins is in `array_side.v`.

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

  integer job = 0;
  integer cycle = 0;  // number of the latest clock edge
  always @(posedge clk) cycle <= cycle + 1;

  // ---- token source: offers what `tokens.txt` says, a line a token: cycles to wait before it is
  //      offered, schedule, window length, payload
  integer offered_job = 0, tokens_file, offers_file, gap;
  reg [SCHEDULE_BITS-1:0] next_schedule, schedule = 0;
  reg [LENGTH_BITS-1:0] next_length, window_length = 0;
  reg [TOKEN_BITS-1:0] next_payload, token_payload = 0;
  reg next_there = 0, token_valid = 0;
  wire token_ready;
  function read_token(input unused);
    read_token = $fscanf(tokens_file, "%d %d %d %h\n", gap, next_schedule, next_length, next_payload) == 4;
  endfunction
  always @(posedge clk) begin
    if (job != offered_job) begin
      offered_job = job;
      tokens_file = $fopen("tokens.txt", "r");
      offers_file = $fopen("accepted.txt", "w");
      next_there = read_token(0);
    end
    if (token_valid && token_ready) begin
      $fdisplay(offers_file, "%0d", cycle);
      token_valid <= 0;
    end
    if (!rst && next_there && (!token_valid || token_ready)) begin
      if (gap > 0) gap = gap - 1;
      else begin
        schedule <= next_schedule;
        window_length <= next_length;
        token_payload <= next_payload;
        token_valid <= 1;
        next_there = read_token(0);
      end
    end
  end

  // ---- result sink: takes each result after as many cycles as `stalls.txt` says and writes it to
  //      `results.txt`, with the cycle of the edge that made it valid
  integer answered_job = 0, stalls_file, results_file, stall = 0, waited = 0, found = 0, results = 0;
  reg [RESULT_BITS-1:0] offered;
  reg result_ready = 0;
  reg result_changed = 0;  // while it waited to be taken
  reg finished = 0;
  wire result_valid;
  wire [RESULT_BITS-1:0] result_payload;
  task read_stall;
    if ($fscanf(stalls_file, "%d\n", stall) != 1) stall = -1;  // that was the last one
  endtask
  always @(posedge clk) begin
    if (job != answered_job) begin
      answered_job = job;
      stalls_file = $fopen("stalls.txt", "r");
      results_file = $fopen("results.txt", "w");
      results = 0;
      finished <= 0;
      read_stall;
    end
    if (result_valid && !rst) begin
      if (waited == 0) found = cycle - 1;
      else if (result_payload !== offered) result_changed <= 1;
      offered = result_payload;
      waited = waited + 1;
      if (result_ready) begin
        $fdisplay(results_file, "%0d %h", found, result_payload);
        waited = 0;
        results = results + 1;
        read_stall;
      end
    end
    result_ready <= stall == 0 || (stall > 0 && waited >= stall);
    if (stall < 0 && !finished) begin
      $fclose(tokens_file);
      $fclose(offers_file);
      $fclose(stalls_file);
      $fclose(results_file);
      finished <= 1;
    end
  end

  // ---- watchdog: no result for `patience` cycles
  integer patience = 0, idle = 0;
  reg stuck = 0;
  always @(posedge clk) begin
    idle = rst || (result_valid && result_ready) ? 0 : idle + 1;
    if (idle > patience && !finished) stuck <= 1;
  end
  wire ended = finished || result_changed || stuck;

  // ---- the head, and the analog side of its pins
  wire [CODE_BITS-1:0] write_code;
  wire [SLOT_BITS-1:0] write_slot;
  wire strobe_k, strobe_v, reset_k, reset_v, score, activate, convert;
  wire score_bank, activate_bank, convert_bank;
  wire [DIM-1:0] q_pulse;
  wire [WINDOW-1:0] phi, row;
  wire [OUTPUTS-1:0] out_pulse, out_negative;

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
      .pins__out_negative(out_negative)
  );

  wire [9:0] broken;
  pin_rules #(CODE_BITS, SLOT_BITS) rules (
      .clk(clk),
      .rst(rst),
      .code(write_code),
      .slot(write_slot),
      .strobe_k(strobe_k),
      .strobe_v(strobe_v),
      .reset_k(reset_k),
      .reset_v(reset_v),
      .score(score),
      .activate(activate),
      .convert(convert),
      .score_bank(score_bank),
      .activate_bank(activate_bank),
      .convert_bank(convert_bank),
      .broken(broken)
  );

  array_side #(
      .T_CLK(T_CLK),
      .DIM(DIM),
      .WINDOW(WINDOW),
      .OUTPUTS(OUTPUTS),
      .SLOT_BITS(SLOT_BITS),
      .CODE_BITS(CODE_BITS),
      .SCORE_CYCLES(SCORE_CYCLES),
      .WIDTH_BITS(WIDTH_BITS),
      .EXACT(EXACT)
  ) arrays (
      .clk(clk),
      .write_code(write_code),
      .write_slot(write_slot),
      .strobe_k(strobe_k),
      .strobe_v(strobe_v),
      .q_pulse(q_pulse),
      .reset_k(reset_k),
      .reset_v(reset_v),
      .score(score),
      .activate(activate),
      .convert(convert),
      .score_bank(score_bank),
      .activate_bank(activate_bank),
      .convert_bank(convert_bank),
      .phi(phi),
      .row(row),
      .out_pulse(out_pulse),
      .out_negative(out_negative)
  );
endmodule

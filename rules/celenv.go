package rules

import (
	"fmt"
	"math"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// The fields of the declared variables. In CEL each is a variable whose name has a dot in it, so that an
// unknown field is an error when the rule set is loaded.
var (
	eventStrings = []string{
		"id", "type", "name", "category", "path", "url", "host", "referrer", "title", "search",
		"channel", "source", "user_id", "anonymous_id", "group_id",
	}
	eventMaps   = []string{"properties", "context", "traits"}
	eventFields = append(append([]string{"time"}, eventStrings...), eventMaps...)
	leadFields  = []string{"id", "user_id", "first_seen", "last_seen", "events", "ids"}
	localFields = []string{"hour", "weekday"}
)

// termFunctions are our own functions. None is ever called by CEL: each call is taken out of the
// expression when it is loaded and evaluated by this package.
var termFunctions = []cel.EnvOption{
	cel.Function("signal", cel.Overload("signal_string", []*cel.Type{cel.StringType}, cel.BoolType)),
	cel.Function("count",
		cel.Overload("count_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.DoubleType),
		cel.Overload("count_string_duration", []*cel.Type{cel.StringType, cel.DurationType}, cel.DoubleType)),
	cel.Function("sum", windowOverloads("sum", cel.DoubleType)...),
	cel.Function("distinct", windowOverloads("distinct", cel.DoubleType)...),
	cel.Function("first", cel.Overload("first_string_dyn", []*cel.Type{cel.StringType, cel.DynType}, cel.DynType)),
	cel.Function("last", cel.Overload("last_string_dyn", []*cel.Type{cel.StringType, cel.DynType}, cel.DynType)),
	cel.Function("then", pairOverloads("then")...),
	cel.Function("without", pairOverloads("without")...),
	cel.Function("until", cel.Overload("until_string", []*cel.Type{cel.StringType}, cel.DurationType)),
	cel.Function("since", cel.Overload("since_string", []*cel.Type{cel.StringType}, cel.DurationType)),
	cel.Function("in_stage", cel.Overload("in_stage", nil, cel.DurationType)),
}

// Spans may be written as text or as duration(...).
func windowOverloads(name string, result *cel.Type) []cel.FunctionOpt {
	return []cel.FunctionOpt{
		cel.Overload(name+"_string_dyn_string", []*cel.Type{cel.StringType, cel.DynType, cel.StringType}, result),
		cel.Overload(name+"_string_dyn_duration", []*cel.Type{cel.StringType, cel.DynType, cel.DurationType}, result),
	}
}

func pairOverloads(name string) []cel.FunctionOpt {
	return []cel.FunctionOpt{
		cel.Overload(name+"_string_string_string", []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.BoolType),
		cel.Overload(name+"_string_string_duration", []*cel.Type{cel.StringType, cel.StringType, cel.DurationType}, cel.BoolType),
	}
}

var celMapType = cel.MapType(cel.StringType, cel.DynType)

// newEnv returns the environment that all expressions of one rule set are checked in.
func newEnv(scores, graded, matrices, accountScores []string) (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.StdLib(),
		ext.Strings(ext.StringsVersion(4)),
		ext.Math(ext.MathVersion(2)),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxExpressionDepth),
		cel.ExpressionNestingDepthLimit(4 * maxExpressionDepth),
		cel.RegexProgramSizeLimit(regexProgramSize),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(2)),
		cel.Variable("stage", cel.StringType),
		cel.Variable("traits", celMapType),
		cel.Variable("tags", cel.MapType(cel.StringType, cel.DoubleType)),
		cel.Variable("consent", cel.MapType(cel.StringType, cel.BoolType)),
		cel.Variable("event.time", cel.TimestampType),
		cel.Variable("lead.id", cel.StringType),
		cel.Variable("lead.user_id", cel.StringType),
		cel.Variable("lead.first_seen", cel.TimestampType),
		cel.Variable("lead.last_seen", cel.TimestampType),
		cel.Variable("lead.events", cel.IntType),
		cel.Variable("lead.ids", cel.IntType),
	}
	opts = append(append(opts, termFunctions...), accountVariables...)
	for _, f := range eventStrings {
		opts = append(opts, cel.Variable("event."+f, cel.StringType))
	}
	for _, f := range eventMaps {
		opts = append(opts, cel.Variable("event."+f, celMapType))
	}
	for _, s := range scores {
		opts = append(opts, cel.Variable("score."+s, cel.DoubleType))
	}
	for _, s := range graded {
		opts = append(opts, cel.Variable("grade."+s, cel.StringType))
	}
	for _, m := range matrices {
		opts = append(opts, cel.Variable("matrix."+m, cel.StringType))
	}
	for _, s := range accountScores {
		opts = append(opts, cel.Variable("account.score."+s, cel.DoubleType))
	}
	for _, f := range localFields {
		opts = append(opts, cel.Variable("local."+f, cel.IntType))
	}
	env, err := cel.NewCustomEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("building the expression environment: %w", err)
	}
	return env, nil
}

// programOptions bound a program by cost, never by time: time would not be the same on every machine.
func programOptions() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(celCostLimit),
		cel.CustomDecoratorV2(finiteOnly),
	}
}

// finiteOnly makes NaN and infinity errors wherever they arise.
func finiteOnly(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch call.Function() {
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate, "double":
		return finiteCall{call}, nil
	}
	return i, nil
}

type finiteCall struct{ interpreter.InterpretableCall }

// Eval implements interpreter.Interpretable.
func (c finiteCall) Eval(a interpreter.Activation) ref.Val {
	return finiteVal(c.InterpretableCall.Eval(a))
}

// Exec implements interpreter.InterpretableV2.
func (c finiteCall) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return finiteVal(c.InterpretableCall.Exec(f))
}

func finiteVal(v ref.Val) ref.Val {
	if d, ok := v.(types.Double); ok && (math.IsNaN(float64(d)) || math.IsInf(float64(d), 0)) {
		return types.NewErr("not a finite number")
	}
	return v
}

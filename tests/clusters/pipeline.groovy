// Evaluates a declarative pipeline without Jenkins, with the Groovy that Jenkins has: every step is
// recorded and does nothing. Prints what was called, as JSON, once for each exit code of a step
// that asks for it.
//   groovy pipeline.groovy FILE CODE...
import groovy.json.JsonOutput
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Pipeline extends Script {
    static int code
    static List stack

    def methodMissing(String name, arguments) {
        def call = [name: name, arguments: [], body: []]
        stack.last() << call
        arguments.each { argument ->
            if (argument instanceof Closure) {
                stack << call.body
                argument.call()
                stack.remove(stack.size() - 1)
            } else {
                call.arguments << plain(argument)
            }
        }
        code
    }

    def propertyMissing(String name) {
        name == 'env' ? [SHARD: '2'] : name
    }

    static plain(value) {
        if (value instanceof Map) {
            return value.collectEntries { key, inner -> [key as String, plain(inner)] }
        }
        value instanceof List ? value.collect { plain(it) } : value instanceof Boolean ? value : value as String
    }
}

def configuration = new CompilerConfiguration(scriptBaseClass: Pipeline.name)
def shell = new GroovyShell(Pipeline.classLoader, new Binding(), configuration)
def calls = args.drop(1).collect { code ->
    Pipeline.code = code as int
    Pipeline.stack = [[]]
    shell.evaluate(new File(args[0]))
    Pipeline.stack[0]
}
println JsonOutput.toJson(calls)

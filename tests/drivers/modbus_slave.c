/* A Modbus RTU slave made with libmodbus: a peer that shares no line of code with the driver.
 * usage: modbus_slave DEVICE UNIT   -- prints "ready", then each request's function and address. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    modbus_t *bus = modbus_new_rtu(argv[1], 9600, 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, 0xe0, 8);
    if (!bus || !map || modbus_set_slave(bus, atoi(argv[2])) || modbus_connect(bus)) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    map->tab_input_registers[1] = 305;    /* XY-MD02: 30.5 degrees */
    map->tab_input_registers[2] = 546;    /* 54.6 % */
    map->tab_registers[0x00] = 658;       /* RS-KTC-N01: 65.8 % */
    map->tab_registers[0x01] = 0xff9b;    /* -10.1 degrees */
    map->tab_registers[0x71] = 46;        /* 4.6 A */
    map->tab_registers[0xd7] = 2;         /* heating */
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint8_t asked[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(bus, asked);
        if (length > 0) {
            modbus_reply(bus, asked, length, map);
            printf("%d %d\n", asked[1], asked[2] << 8 | asked[3]);
            fflush(stdout);
        } else { /* libmodbus keeps the rest of a frame that it ignored */
            modbus_flush(bus);
        }
    }
}
